/* All filters of one pixel, on cores with the DSP extension; see dsp_products.h. */
#pragma once
#include <stdint.h>
#include "dsp_products.h"

/*
 * The results of one pixel.  Its bytes lie in `count` segments of `length` bytes, a multiple of
 * four, each at `start` bytes from its place in `segments`; the words of a segment lie
 * `segment_words` after those of the one before, and those of four filters `filter_words`.
 */
TVMGEN_HOT
DSP_LOOPS static void dsp_pixel(const struct window *w, const int8_t *const *segments,
                                int32_t count, int32_t start, int32_t length,
                                const int32_t *weight, int32_t segment_words,
                                int32_t filter_words, const struct requantization *to,
                                int8_t *out) {
  int32_t offset = dsp_halves(-w->zero_point, -w->zero_point);
  int32_t plainly = requantizes_plainly(w);
  for (int32_t left = w->filters; left > 0; left -= 4) {
    struct sums sums = {to[0].bias, to[0].bias, to[2].bias, to[2].bias};
    const int32_t *words = weight;
    for (int32_t segment = 0; segment < count; ++segment) {
      words = dsp_add_run(&sums, segments[segment] + start, length, offset, words);
      words += segment_words - length;
    }
    dsp_store_filters(sums, left, to, w, plainly, out);
    weight += filter_words;
    to += 4;
    out += 4;
  }
}
