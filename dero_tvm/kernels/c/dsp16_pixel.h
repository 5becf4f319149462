/* All filters of one pixel, int16 data with int8 weights, on cores with the DSP extension. */
#pragma once
#include <stdint.h>
#include "dsp16_products.h"
#include "dsp16_requantize.h"
#include "window.h"

/* An `int16_pixel` (see int16_conv2d.h). */
DSP_LOOPS static void dsp16_pixel(const struct window *w, const int8_t *const *segments,
                                  int32_t count, int32_t start, int32_t length,
                                  const int32_t *weight, int32_t segment_words,
                                  int32_t filter_words, const struct requantization *to,
                                  int8_t *out) {
  for (int32_t left = w->filters; left > 0; left -= 4) {
    struct sums sums = {to[0].bias, to[1].bias, to[2].bias, to[3].bias};
    const int32_t *words = weight;
    for (int32_t segment = 0; segment < count; ++segment) {
      const int8_t *data = segments[segment] + start, *end = data + 2 * length;
      while (data != end) {
        int32_t first = dsp_load4(data), second = dsp_load4(data + 4);
        sums.a = dsp16_add_products(first, second, words[0], sums.a);
        sums.b = dsp16_add_products(first, second, words[1], sums.b);
        sums.c = dsp16_add_products(first, second, words[2], sums.c);
        sums.d = dsp16_add_products(first, second, words[3], sums.d);
        words += 4;
        data += 8;
      }
      words += segment_words - length;
    }
    const struct sums finished = sums; /* a copy, so that `sums` stay in registers */
    requantize16(&finished, left, to, w, out);
    weight += filter_words;
    to += 4;
    out += 8;
  }
}
