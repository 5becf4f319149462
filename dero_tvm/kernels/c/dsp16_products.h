/*
 * Products of int16 data with int8 weights, on cores with the DSP extension.  A word of four weights
 * has its bytes in the order (0, 2, 1, 3), so that those of even and of odd places, extended to
 * halves, meet two words of data.
 */
#pragma once
#include <stdint.h>
#include "arm_dsp.h"

DSP_INLINE int32_t dsp16_add_products(int32_t first, int32_t second, int32_t word, int32_t sum) {
  sum = dsp_dual_multiply_add(first, dsp_even(word), sum);
  return dsp_dual_multiply_add(second, dsp_odd(word), sum);
}
