/*
 * Products of two int8 matrices that are both computed: what rows of them are, and their results.
 */
#pragma once
#include <stdint.h>
#include "requantize.h"

struct product {
  int32_t pixels, heads, depth, units; /* of a row of the left operand and of the result */
  int32_t a_pixel, a_head, b_head, out_pixel, out_head; /* distances in bytes */
  int32_t rows, count; /* rows of one part of the left and of the right operand */
  int32_t a_zero, b_zero, rounding, minimum, maximum;
  struct requantization to;
};

DSP_INLINE int8_t dsp_product_result(const struct product *of, int32_t sum) {
  int32_t result = requantize_sum(sum, &of->to, of->rounding);
  result = result < of->minimum ? of->minimum : result;
  return (int8_t)(result > of->maximum ? of->maximum : result);
}
