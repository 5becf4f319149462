/*
 * A row of a transposed convolution of one group, int8, on cores with the DSP extension: the rows
 * of `count` convolutions with pixels in one another.  `places` has two numbers for each: where its
 * weights begin, and its first pixel in the row.
 */
#pragma once
#include "dsp_conv2d.h"

TVMGEN_HOT
static void dsp_conv2d_transpose_row(const struct window *w, int32_t count, const int32_t *places,
                                     struct taps vertical,
                                     const int8_t *const rows[WINDOW_TALLEST],
                                     const int32_t *weight, const struct requantization *to,
                                     int8_t *out) {
  for (int32_t phase = 0; phase < count; ++phase) {
    dsp_conv2d_row(w + phase, vertical, rows, weight + places[2 * phase], to,
                   out + places[2 * phase + 1]);
  }
}
