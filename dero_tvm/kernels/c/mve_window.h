/*
 * The part of an image below a convolution's window, row after row, with the zero point in place
 * of what lies outside.
 */
#pragma once
#include <stdint.h>
#include "mve_copy.h"
#include "window.h"

/* `rows` are those of the taps, of which the `vertical` ones are inside; the window's first tap is
 * in column `left`. */
MVE_FUNCTION void mve_copy_window(int8_t *patch, const int8_t *const *rows, const struct taps *vertical,
                                  int32_t left, const struct window *w) {
  const int32_t channels = w->channels, row_bytes = w->kernel_w * channels;
  const struct taps taps = taps_inside(left, w->in_width, w->kernel_w, w->dilation_w);
  if (vertical->last - vertical->first != w->kernel_h || taps.last - taps.first != w->kernel_w) {
    mve_fill(patch, w->zero_point, w->kernel_h * row_bytes);
  }
  const int32_t step = w->dilation_w * w->in_pixel, inside = taps.last - taps.first;
  const int32_t start = left * w->in_pixel + taps.first * step;
  int8_t *to = patch + vertical->first * row_bytes + taps.first * channels;
  for (int32_t i = vertical->first; i < vertical->last; ++i, to += row_bytes) {
    const int8_t *from = rows[i] + start;
    if (step == channels) {
      mve_copy(to, from, inside * channels);
    } else {
      for (int32_t j = 0; j < inside; ++j) {
        mve_copy(to + j * channels, from + j * step, channels);
      }
    }
  }
}
