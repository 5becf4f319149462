/* All filters of one pixel whose bytes lie side by side; see dsp_products.h. */
#pragma once
#include <stdint.h>
#include "dsp_products.h"

/* The pixel has `length` bytes, a multiple of four; the words of four filters follow one another. */
TVMGEN_HOT
DSP_LOOPS static void dsp_run(const struct window *w, const int8_t *bytes, int32_t length,
                              const int32_t *words, const struct requantization *to, int8_t *out) {
  int32_t offset = dsp_halves(-w->zero_point, -w->zero_point);
  int32_t plainly = requantizes_plainly(w);
  for (int32_t left = w->filters; left > 0; left -= 4) {
    struct sums sums = {to[0].bias, to[0].bias, to[2].bias, to[2].bias};
    words = dsp_add_run(&sums, bytes, length, offset, words);
    dsp_store_filters(sums, left, to, w, plainly, out);
    to += 4;
    out += 4;
  }
}
