/*
 * A row of a convolution of one group, int16 data with int8 weights, on cores with the DSP
 * extension: four filters at a time.  A word of four weights has its bytes in the order (0, 2, 1,
 * 3), so that those of even and of odd places, extended to halves, meet two words of data.
 */
#pragma once
#include <stdint.h>
#include <string.h>
#include "dsp16_requantize.h"
#include "window.h"

DSP_INLINE int32_t dsp16_add_products(int32_t first, int32_t second, int32_t word, int32_t sum) {
  sum = dsp_dual_multiply_add(first, dsp_even(word), sum);
  return dsp_dual_multiply_add(second, dsp_odd(word), sum);
}

/*
 * The results of one pixel.  Its numbers lie in `count` segments of `length`, a multiple of four,
 * each at `start` bytes from its place in `segments`; the words of a segment lie `segment_words`
 * after those of the one before, and those of four filters `filter_words`.
 */
DSP_LOOPS static void dsp16_pixel(const struct window *w, const int8_t *const *segments,
                                  int32_t count, int32_t start, int32_t length,
                                  const int32_t *weight, int32_t segment_words,
                                  int32_t filter_words, const struct requantization *to,
                                  int8_t *out) {
  for (int32_t left = w->filters; left > 0; left -= 4) {
    struct sums sums = {to[0].bias, to[1].bias, to[2].bias, to[3].bias};
    const int32_t *words = weight;
    for (int32_t segment = 0; segment < count; ++segment) {
      const int8_t *data = segments[segment] + start, *end = data + 2 * length;
      while (data != end) {
        int32_t first = dsp_load4(data), second = dsp_load4(data + 4);
        sums.a = dsp16_add_products(first, second, words[0], sums.a);
        sums.b = dsp16_add_products(first, second, words[1], sums.b);
        sums.c = dsp16_add_products(first, second, words[2], sums.c);
        sums.d = dsp16_add_products(first, second, words[3], sums.d);
        words += 4;
        data += 8;
      }
      words += segment_words - length;
    }
    const struct sums finished = sums; /* a copy, so that `sums` stay in registers */
    requantize16(&finished, left, to, w, out);
    weight += filter_words;
    to += 4;
    out += 8;
  }
}

/* Channels are a multiple of four; the pixels of a window lie side by side. */
DSP_INLINE void dsp16_conv2d_row(const struct window *w, struct taps vertical,
                                 const int8_t *const rows[WINDOW_TALLEST], const int32_t *weight,
                                 const struct requantization *to, int8_t *out) {
  int32_t row_words = w->kernel_w * w->channels, x = -w->left;
  for (int32_t column = 0; column < w->out_width; ++column) {
    struct taps taps = taps_inside(x, w->in_width, w->kernel_w, 1);
    const int32_t *words = weight + vertical.first * row_words + taps.first * w->channels;
    dsp16_pixel(w, rows + vertical.first, vertical.last - vertical.first,
                (x + taps.first) * w->in_pixel, (taps.last - taps.first) * w->channels, words,
                row_words, w->kernel_h * row_words, to, out);
    x += w->stride_w;
    out += 2 * w->out_pixel;
  }
}

/* The window of each pixel is copied to scratch, with zeros up to a multiple of four numbers. */
DSP_INLINE void dsp16_conv2d_gather_row(const struct window *w, struct taps vertical,
                                        const int8_t *const rows[WINDOW_TALLEST],
                                        const int32_t *weight, const struct requantization *to,
                                        int8_t *out, int8_t *scratch) {
  const int8_t *segment = scratch;
  int32_t pixel_bytes = 2 * w->channels, x = -w->left;
  int32_t length = (w->kernel_h * w->kernel_w * w->channels + 3) & ~3;
  for (int32_t column = 0; column < w->out_width; ++column) {
    (void)memset(scratch, 0, (uint32_t)(2 * length));
    for (int32_t kh = vertical.first; kh < vertical.last; ++kh) {
      struct taps taps = taps_inside(x, w->in_width, w->kernel_w, w->dilation_w);
      for (int32_t kw = taps.first; kw < taps.last; ++kw) {
        const int8_t *from = rows[kh] + (x + kw * w->dilation_w) * w->in_pixel;
        (void)memcpy(scratch + (kh * w->kernel_w + kw) * pixel_bytes, from, (uint32_t)pixel_bytes);
      }
    }
    dsp16_pixel(w, &segment, 1, 0, length, weight, 0, length, to, out);
    x += w->stride_w;
    out += 2 * w->out_pixel;
  }
}
