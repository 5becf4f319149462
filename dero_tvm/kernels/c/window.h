/* The geometry of an operator whose window slides over an image, and the rows under it. */
#pragma once
#include <stdint.h>
#include "arm_dsp.h"

#define WINDOW_TALLEST 16

struct window {
  int16_t in_height, in_width, in_pixel; /* in_pixel: bytes from one pixel to the next */
  int16_t out_width, out_pixel;
  int16_t channels, filters;
  int16_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w;
  int16_t top, left; /* padding */
  int16_t zero_point, minimum, maximum, rounding;
};

/* A half-open range of taps. */
struct taps {
  int32_t first, last;
};

/* The taps that lie inside an image of `length`, of a window that begins at `origin`. */
DSP_INLINE struct taps taps_inside(int32_t origin, int32_t length, int32_t kernel,
                                   int32_t dilation) {
  struct taps inside = {0, kernel};
  while (inside.first < kernel && origin + inside.first * dilation < 0) {
    ++inside.first;
  }
  while (inside.last > inside.first && origin + (inside.last - 1) * dilation >= length) {
    --inside.last;
  }
  return inside;
}

/* Sets rows[t] for every tap t of output row `row` that lies inside the image, a ring. */
DSP_SHARED struct taps rows_under(const struct window *w, int32_t row, const int8_t *data,
                                  int32_t data_rows, const int8_t *rows[WINDOW_TALLEST]) {
  int32_t y = row * w->stride_h - w->top;
  struct taps inside = taps_inside(y, w->in_height, w->kernel_h, w->dilation_h);
  for (int32_t tap = inside.first; tap < inside.last; ++tap) {
    rows[tap] = data + (y + tap * w->dilation_h) % data_rows * (w->in_width * w->in_pixel);
  }
  return inside;
}

/* The same of an image whose rows lie where a table says: its period, then units from `data`. */
DSP_SHARED struct taps rows_under_table(const struct window *w, int32_t row, const int8_t *data,
                                        const uint16_t *table, int32_t unit,
                                        const int8_t *rows[WINDOW_TALLEST]) {
  int32_t y = row * w->stride_h - w->top, period = table[0];
  struct taps inside = taps_inside(y, w->in_height, w->kernel_h, w->dilation_h);
  for (int32_t tap = inside.first; tap < inside.last; ++tap) {
    rows[tap] = data + table[1 + (y + tap * w->dilation_h) % period] * unit;
  }
  return inside;
}
