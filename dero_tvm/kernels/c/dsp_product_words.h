/*
 * Rows of products of two int8 matrices that are both computed, on cores with the DSP extension.
 * The left operand's row is widened once, less its zero point, with two numbers in a word.
 */
#pragma once
#include <stdint.h>
#include <string.h>
#include "arm_dsp.h"
#include "dsp_product.h"

/* Words for a vector of the left operand. */
DSP_INLINE int32_t dsp_product_words(const struct product *of) {
  return (of->depth + 3) / 4 * 2;
}

/* Up to four bytes as a word; the others are zeros. */
DSP_INLINE int32_t dsp_product_load(const int8_t *bytes, int32_t count) {
  int32_t word = 0;
  (void)memcpy(&word, bytes, (uint32_t)(count < 4 ? count : 4));
  return word;
}

/* Every vector of the row `a`; with `split`, bytes 0 and 2 of four are in one word. */
TVMGEN_HOT
static void dsp_product_widen(const struct product *of, const int8_t *a, int32_t split,
                              int32_t *words) {
  int32_t offset = dsp_halves(-of->a_zero, -of->a_zero);
  for (int32_t p = 0; p < of->pixels; ++p) {
    for (int32_t h = 0; h < of->heads; ++h) {
      const int8_t *vector = a + p * of->a_pixel + h * of->a_head;
      for (int32_t k = 0; k < of->depth; k += 4) {
        int32_t left = of->depth - k, word = dsp_product_load(vector + k, left);
        int32_t even = dsp_even_plus(offset, word), odd = dsp_odd_plus(offset, word);
        if (left < 4) { /* what is beyond the end counts nothing */
          even = left < 3 ? dsp_halves(even, 0) : even;
          odd = left < 2 ? 0 : dsp_halves(odd, 0);
        }
        words[0] = split ? even : dsp_low_halves(even, odd);
        words[1] = split ? odd : dsp_high_halves(even, odd);
        words += 2;
      }
    }
  }
}
