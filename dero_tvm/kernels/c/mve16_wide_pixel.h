/* All filters of one pixel on cores with Helium, with sums of 64 bits. */
#pragma once
#include <stdint.h>
#include "int16_wide_pixel.h"
#include "mve16_pixel.h"

/* An `int16_pixel` (see int16_conv2d.h). */
MVE_FUNCTION void mve16_wide_pixel(const struct window *w, const int8_t *const *segments,
                                   int32_t count, int32_t start, int32_t length,
                                   const int32_t *weight, int32_t segment_words,
                                   int32_t filter_words, const struct requantization *to,
                                   int8_t *out) {
#if defined(__ARM_FEATURE_MVE)
  mve_keep_stores();
#endif
  int16_wide_pixel(w, segments, count, start, length, weight, segment_words, filter_words, to, out,
                   mve16_add);
}
