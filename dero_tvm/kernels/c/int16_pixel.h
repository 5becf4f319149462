/* All filters of one pixel, int16 data with int8 weights, by a function for the products. */
#pragma once
#include <stdint.h>
#include "dsp16_requantize.h"
#include "int16_add.h"
#include "window.h"

/* An `int16_pixel` (see int16_conv2d.h), whose sums fit 32 bits. */
DSP_INLINE void int16_narrow_pixel(const struct window *w, const int8_t *const *segments,
                                   int32_t count, int32_t start, int32_t length,
                                   const int32_t *weight, int32_t segment_words,
                                   int32_t filter_words, const struct requantization *to,
                                   int8_t *out, int16_add *add) {
  for (int32_t left = w->filters; left > 0; left -= 4) {
    struct sums sums = {to[0].bias, to[1].bias, to[2].bias, to[3].bias};
    const int32_t *words = weight;
    for (int32_t segment = 0; segment < count; ++segment) {
      add(&sums, segments[segment] + start, length, words);
      words += segment_words;
    }
    const struct sums finished = sums; /* a copy, so that `sums` stay in registers */
    requantize16(&finished, left, to, w, out);
    weight += filter_words;
    to += 4;
    out += 8;
  }
}
