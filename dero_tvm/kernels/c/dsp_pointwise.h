/* Pixels of a pointwise convolution without padding, int8, on cores with the DSP extension. */
#pragma once
#include <stdint.h>
#include "dsp_run.h"

/* Channels are a multiple of four; the first pixel reads at `from`. */
TVMGEN_HOT
static void dsp_pointwise_row(const struct window *w, const int8_t *from, int32_t pixels,
                              const int32_t *weight, const struct requantization *to,
                              int8_t *out) {
  for (int32_t pixel = 0; pixel < pixels; ++pixel) {
    dsp_run(w, from, w->channels, weight, to, out);
    from += w->stride_w * w->in_pixel;
    out += w->out_pixel;
  }
}
