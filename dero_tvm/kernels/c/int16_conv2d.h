/*
 * A row of a convolution of one group, int16 data with int8 weights, by a function for the filters
 * of one pixel.
 */
#pragma once
#include <stdint.h>
#include <string.h>
#include "requantize.h"
#include "window.h"

/*
 * The results of one pixel.  Its numbers lie in `count` segments of `length`, a multiple of what
 * the function takes at once, each at `start` bytes from its place in `segments`.  There is a word
 * of weights for each number and four filters; those of a segment lie `segment_words` after those
 * of the one before, and those of four filters `filter_words`.
 */
typedef void int16_pixel(const struct window *w, const int8_t *const *segments, int32_t count,
                         int32_t start, int32_t length, const int32_t *weight,
                         int32_t segment_words, int32_t filter_words,
                         const struct requantization *to, int8_t *out);

/* Channels are a multiple of what `pixel` takes; the pixels of a window lie side by side. */
DSP_INLINE void int16_conv2d_row(const struct window *w, struct taps vertical,
                                 const int8_t *const rows[WINDOW_TALLEST], const int32_t *weight,
                                 const struct requantization *to, int8_t *out,
                                 int16_pixel *pixel) {
  int32_t row_words = w->kernel_w * w->channels, x = -w->left;
  for (int32_t column = 0; column < w->out_width; ++column) {
    struct taps taps = taps_inside(x, w->in_width, w->kernel_w, 1);
    const int32_t *words = weight + vertical.first * row_words + taps.first * w->channels;
    pixel(w, rows + vertical.first, vertical.last - vertical.first,
                (x + taps.first) * w->in_pixel, (taps.last - taps.first) * w->channels, words,
                row_words, w->kernel_h * row_words, to, out);
    x += w->stride_w;
    out += 2 * w->out_pixel;
  }
}

/* The window of each pixel is copied to scratch, with zeros up to a multiple of `lanes` numbers. */
DSP_INLINE void int16_conv2d_gather_row(const struct window *w, struct taps vertical,
                                        const int8_t *const rows[WINDOW_TALLEST],
                                        const int32_t *weight, const struct requantization *to,
                                        int8_t *out, int8_t *scratch, int32_t lanes,
                                        int16_pixel *pixel) {
  const int8_t *segment = scratch;
  int32_t pixel_bytes = 2 * w->channels, x = -w->left;
  int32_t length = (w->kernel_h * w->kernel_w * w->channels + lanes - 1) & -lanes;
  for (int32_t column = 0; column < w->out_width; ++column) {
    (void)memset(scratch, 0, (uint32_t)(2 * length));
    for (int32_t kh = vertical.first; kh < vertical.last; ++kh) {
      struct taps taps = taps_inside(x, w->in_width, w->kernel_w, w->dilation_w);
      for (int32_t kw = taps.first; kw < taps.last; ++kw) {
        const int8_t *from = rows[kh] + (x + kw * w->dilation_w) * w->in_pixel;
        (void)memcpy(scratch + (kh * w->kernel_w + kw) * pixel_bytes, from, (uint32_t)pixel_bytes);
      }
    }
    pixel(w, &segment, 1, 0, length, weight, 0, length, to, out);
    x += w->stride_w;
    out += 2 * w->out_pixel;
  }
}
