/*
 * The part of an image below a convolution's window, row after row, with the zero point in place
 * of what lies outside.
 */
#pragma once
#include <stdint.h>
#include "mve_copy.h"

struct mve_window {
  int32_t height, width, channels; /* of the image */
  int32_t pixel;                   /* bytes from one to the next */
  int32_t kernel_h, kernel_w, dilation_h, dilation_w;
  int32_t zero_point;
};

/* `rows` are those of the taps; the window's first tap is at (top, left). */
MVE_FUNCTION void mve_copy_window(int8_t *patch, const int8_t *const *rows, int32_t top,
                                  int32_t left, const struct mve_window *g) {
  const int32_t columns = g->kernel_w, channels = g->channels, row_bytes = columns * channels;
  mve_fill(patch, g->zero_point, g->kernel_h * row_bytes);
  int32_t first = 0, end = columns;
  while (first < columns && left + first * g->dilation_w < 0) {
    ++first;
  }
  while (end > first && left + (end - 1) * g->dilation_w >= g->width) {
    --end;
  }
  const int32_t step = g->dilation_w * g->pixel;
  for (int32_t i = 0; i < g->kernel_h; ++i, patch += row_bytes) {
    const int32_t y = top + i * g->dilation_h;
    if (y < 0 || y >= g->height) {
      continue;
    }
    const int8_t *line = rows[i] + left * g->pixel;
    if (step == channels) {
      mve_copy(patch + first * channels, line + first * channels, (end - first) * channels);
    } else {
      for (int32_t j = first; j < end; ++j) {
        mve_copy(patch + j * channels, line + j * step, channels);
      }
    }
  }
}
