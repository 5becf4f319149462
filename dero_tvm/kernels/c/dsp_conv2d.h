/* A row of a convolution of one group, int8, on cores with the DSP extension. */
#pragma once
#include <stdint.h>
#include <string.h>
#include "dsp_pixel.h"

/* Channels are a multiple of four; the pixels of a window lie side by side. */
TVMGEN_HOT
static void dsp_conv2d_row(const struct window *w, struct taps vertical,
                           const int8_t *const rows[WINDOW_TALLEST], const int32_t *weight,
                           const struct requantization *to, int8_t *out) {
  int32_t row_words = w->kernel_w * w->channels, x = -w->left;
  for (int32_t column = 0; column < w->out_width; ++column) {
    struct taps taps = taps_inside(x, w->in_width, w->kernel_w, 1);
    const int32_t *words = weight + vertical.first * row_words + taps.first * w->channels;
    dsp_pixel(w, rows + vertical.first, vertical.last - vertical.first,
              (x + taps.first) * w->in_pixel, (taps.last - taps.first) * w->channels, words,
              row_words, w->kernel_h * row_words, to, out);
    x += w->stride_w;
    out += w->out_pixel;
  }
}
