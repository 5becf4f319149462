/* A row of a pointwise convolution without padding, int8, on cores with the DSP extension. */
#pragma once
#include <stdint.h>
#include "dsp_run.h"

/* Channels are a multiple of four; the first pixel is -left, of a part of a row. */
TVMGEN_HOT
static void dsp_pointwise_row(const struct window *w, struct taps vertical,
                              const int8_t *const rows[WINDOW_TALLEST], const int32_t *weight,
                              const struct requantization *to, int8_t *out) {
  const int8_t *row = rows[vertical.first] - w->left * w->in_pixel;
  for (int32_t column = 0; column < w->out_width; ++column) {
    dsp_run(w, row, w->channels, weight, to, out);
    row += w->stride_w * w->in_pixel;
    out += w->out_pixel;
  }
}
