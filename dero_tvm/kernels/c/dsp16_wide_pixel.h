/* All filters of one pixel on cores with the DSP extension, with sums of 64 bits. */
#pragma once
#include <stdint.h>
#include "dsp16_products.h"
#include "int16_wide_pixel.h"

/* An `int16_pixel` (see int16_conv2d.h). */
TVMGEN_HOT
DSP_LOOPS static void dsp16_wide_pixel(const struct window *w, const int8_t *const *segments,
                                       int32_t count, int32_t start, int32_t length,
                                       const int32_t *weight, int32_t segment_words,
                                       int32_t filter_words, const struct requantization *to,
                                       int8_t *out) {
  int16_wide_pixel(w, segments, count, start, length, weight, segment_words, filter_words, to, out,
                   dsp16_add);
}
