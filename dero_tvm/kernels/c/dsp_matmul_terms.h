/* Products with the rows of the right operand, two of them at a time. */
#pragma once
#include <stdint.h>
#include <string.h>
#include "dsp_product_words.h"

/* Terms `term` and the next one of every sum; of the last one, `b` and `c` are the same row. */
TVMGEN_HOT
static void dsp_product_terms(const struct product *of, const int32_t *words, int32_t term,
                              const int8_t *b, const int8_t *c, int32_t *sums) {
  int32_t offset = dsp_halves(-of->b_zero, -of->b_zero), whole = of->units / 4 * 4;
  int32_t per_vector = dsp_product_words(of);
  words += term / 2;
  for (int32_t p = 0; p < of->pixels; ++p) {
    for (int32_t h = 0; h < of->heads; ++h) {
      const int8_t *first = b + h * of->b_head, *second = c + h * of->b_head;
      int32_t pair = *words;
      for (int32_t n = 0; n < of->units; n += 4) {
        int32_t rest = of->units - n;
        int32_t one = n < whole ? dsp_load4(first + n) : dsp_product_load(first + n, rest);
        int32_t two = n < whole ? dsp_load4(second + n) : dsp_product_load(second + n, rest);
        int32_t even = dsp_even_plus(offset, one), odd = dsp_odd_plus(offset, one);
        int32_t even2 = dsp_even_plus(offset, two), odd2 = dsp_odd_plus(offset, two);
        sums[0] = dsp_dual_multiply_add(pair, dsp_low_halves(even, even2), sums[0]);
        if (rest > 1) {
          sums[1] = dsp_dual_multiply_add(pair, dsp_low_halves(odd, odd2), sums[1]);
        }
        if (rest > 2) {
          sums[2] = dsp_dual_multiply_add(pair, dsp_high_halves(even, even2), sums[2]);
        }
        if (rest > 3) {
          sums[3] = dsp_dual_multiply_add(pair, dsp_high_halves(odd, odd2), sums[3]);
        }
        sums += rest < 4 ? rest : 4;
      }
      words += per_vector;
    }
  }
}

TVMGEN_HOT
static void dsp_product_results(const struct product *of, const int32_t *sums, int8_t *out) {
  for (int32_t p = 0; p < of->pixels; ++p) {
    for (int32_t h = 0; h < of->heads; ++h) {
      for (int32_t n = 0; n < of->units; ++n) {
        out[p * of->out_pixel + h * of->out_head + n] = dsp_product_result(of, *sums++);
      }
    }
  }
}
