/*
 * A row of a convolution of one group, int8, on cores with the DSP extension: the window of each
 * pixel is copied to scratch, and continued with anything up to a multiple of four bytes.
 */
#pragma once
#include <stdint.h>
#include <string.h>
#include "dsp_run.h"

/* A function of its own: among the loops of a network its own would not get their registers. */
TVMGEN_HOT
DSP_NOINLINE static void dsp_conv2d_gather_row(const struct window *w, struct taps vertical,
                                               const int8_t *const rows[WINDOW_TALLEST],
                                               const int32_t *weight,
                                               const struct requantization *to, int8_t *out,
                                               int8_t *scratch) {
  int32_t row_bytes = w->kernel_w * w->channels, x = -w->left;
  int32_t length = (w->kernel_h * row_bytes + 3) & ~3;
  int32_t side_by_side = w->in_pixel == w->channels && w->dilation_w == 1;
  for (int32_t column = 0; column < w->out_width; ++column) {
    struct taps taps = taps_inside(x, w->in_width, w->kernel_w, w->dilation_w);
    if (vertical.last - vertical.first != w->kernel_h || taps.last - taps.first != w->kernel_w) {
      (void)memset(scratch, w->zero_point, (uint32_t)length);
    }
    int32_t step = side_by_side ? taps.last - taps.first : 1;
    for (int32_t kh = vertical.first; kh < vertical.last; ++kh) {
      for (int32_t kw = taps.first; kw < taps.last; kw += step) {
        const int8_t *from = rows[kh] + (x + kw * w->dilation_w) * w->in_pixel;
        int8_t *to_bytes = scratch + kh * row_bytes + kw * w->channels;
        int32_t left = step * w->channels;
        for (; left >= 4; left -= 4) {
          (void)memcpy(to_bytes, from, 4);
          to_bytes += 4;
          from += 4;
        }
        for (; left > 0; --left) {
          *to_bytes++ = *from++;
        }
      }
    }
    dsp_run(w, scratch, length, weight, to, out);
    x += w->stride_w;
    out += w->out_pixel;
  }
}
