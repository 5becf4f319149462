/* All filters of one pixel on cores with the DSP extension, with sums of 64 bits. */
#pragma once
#include <stdint.h>
#include "dsp16_products.h"
#include "int16_wide_pixel.h"

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

/* An `int16_pixel` (see int16_conv2d.h). */
DSP_LOOPS static void dsp16_wide_pixel(const struct window *w, const int8_t *const *segments,
                                       int32_t count, int32_t start, int32_t length,
                                       const int32_t *weight, int32_t segment_words,
                                       int32_t filter_words, const struct requantization *to,
                                       int8_t *out) {
  int16_wide_pixel(w, segments, count, start, length, weight, segment_words, filter_words, to, out,
                   dsp16_add);
}
