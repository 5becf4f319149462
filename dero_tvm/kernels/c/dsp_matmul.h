/* Products with the columns of the right operand, a row of it after the other. */
#pragma once
#include <stdint.h>
#include "dsp_product_words.h"

/* A result of every head of every pixel: `b` has what the left operand's vectors meet in it. */
TVMGEN_HOT
static void dsp_product_column(const struct product *of, const int32_t *words, const int8_t *b,
                               int8_t *out) {
  int32_t offset = dsp_halves(-of->b_zero, -of->b_zero), whole = of->depth / 4 * 4;
  for (int32_t p = 0; p < of->pixels; ++p) {
    for (int32_t h = 0; h < of->heads; ++h) {
      const int8_t *vector = b + h * of->b_head;
      int32_t sum = 0;
      for (int32_t k = 0; k < whole; k += 4) {
        int32_t word = dsp_load4(vector + k);
        sum = dsp_dual_multiply_add(words[0], dsp_even_plus(offset, word), sum);
        sum = dsp_dual_multiply_add(words[1], dsp_odd_plus(offset, word), sum);
        words += 2;
      }
      if (whole < of->depth) {
        int32_t word = dsp_product_load(vector + whole, of->depth - whole);
        sum = dsp_dual_multiply_add(words[0], dsp_even_plus(offset, word), sum);
        sum = dsp_dual_multiply_add(words[1], dsp_odd_plus(offset, word), sum);
        words += 2;
      }
      out[p * of->out_pixel + h * of->out_head] = dsp_product_result(of, sum);
    }
  }
}
