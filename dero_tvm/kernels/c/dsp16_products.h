/*
 * Products of int16 data with int8 weights, on cores with the DSP extension.  A word of four weights
 * has its bytes in the order (0, 2, 1, 3), so that those of even and of odd places, extended to
 * halves, meet two words of data.
 */
#pragma once
#include <stdint.h>
#include "arm_dsp.h"
#include "int16_add.h"

DSP_INLINE int32_t dsp16_add_products(int32_t first, int32_t second, int32_t word, int32_t sum) {
  sum = dsp_dual_multiply_add(first, dsp_even(word), sum);
  return dsp_dual_multiply_add(second, dsp_odd(word), sum);
}

DSP_INLINE void dsp16_add(struct sums *sums, const int8_t *data, int32_t count,
                          const int32_t *words) {
  for (const int8_t *end = data + 2 * count; data != end; data += 8, words += 4) {
    int32_t first = dsp_load4(data), second = dsp_load4(data + 4);
    sums->a = dsp16_add_products(first, second, words[0], sums->a);
    sums->b = dsp16_add_products(first, second, words[1], sums->b);
    sums->c = dsp16_add_products(first, second, words[2], sums->c);
    sums->d = dsp16_add_products(first, second, words[3], sums->d);
  }
}
