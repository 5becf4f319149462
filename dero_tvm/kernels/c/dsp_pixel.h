/*
 * All filters of one pixel, on cores with the DSP extension.
 *
 * The bytes meet four filters at a time.  Weights come in words of two filters by two channels:
 * the bytes of filter 2i lie below those of filter 2i + 1, so that each half of a word is
 * 256 * w(2i+1) + w(2i).  Multiplied as it is, it gives 256 * high sum + low sum; its lower bytes
 * alone give the low sum, and the difference is 256 times the high one.  That takes one extension
 * of bytes to halves where two words of one filter each would take four.  Four channels are four
 * words: channels (0, 2) and (1, 3) of filters 0 and 1, then of filters 2 and 3.
 */
#pragma once
#include <stdint.h>
#include "requantize.h"
#include "window.h"

/*
 * Adds the products of four channels; returns the next words.  Until they are parted, sums b and d
 * hold 256 times their own with a and c on top.
 */
DSP_INLINE const int32_t *dsp_add_products(struct sums *sums, int32_t bytes, int32_t offset,
                                           const int32_t *words) {
  int32_t even = dsp_even_plus(offset, bytes), odd = dsp_odd_plus(offset, bytes);
  int32_t first = words[0], second = words[1];
  sums->b = dsp_dual_multiply_add(even, first, sums->b);
  first = dsp_even(first);
  sums->a = dsp_dual_multiply_add(even, first, sums->a);
  sums->b = dsp_dual_multiply_add(odd, second, sums->b);
  second = dsp_even(second);
  sums->a = dsp_dual_multiply_add(odd, second, sums->a);
  first = words[2], second = words[3];
  sums->d = dsp_dual_multiply_add(even, first, sums->d);
  first = dsp_even(first);
  sums->c = dsp_dual_multiply_add(even, first, sums->c);
  sums->d = dsp_dual_multiply_add(odd, second, sums->d);
  second = dsp_even(second);
  sums->c = dsp_dual_multiply_add(odd, second, sums->c);
  return words + 4;
}

DSP_INLINE int32_t dsp_part(int32_t both, int32_t low) {
  return (int32_t)((uint32_t)both - (uint32_t)low) >> 8;
}

/*
 * The results of one pixel.  Its bytes lie in `count` segments of `length` bytes, a multiple of
 * four, each at `start` bytes from its place in `segments`; the words of a segment lie
 * `segment_words` after those of the one before, and those of four filters `filter_words`.
 */
DSP_LOOPS static void dsp_pixel(const struct window *w, const int8_t *const *segments,
                                int32_t count, int32_t start, int32_t length,
                                const int32_t *weight, int32_t segment_words,
                                int32_t filter_words, const struct requantization *to,
                                int8_t *out) {
  int32_t offset = dsp_halves(-w->zero_point, -w->zero_point);
  struct clamp limits = {w->minimum, w->maximum};
  for (int32_t left = w->filters; left > 0; left -= 4) {
    struct sums sums = {to[0].bias, to[0].bias, to[2].bias, to[2].bias};
    const int32_t *words = weight;
    for (int32_t segment = 0; segment < count; ++segment) {
      const int8_t *bytes = segments[segment] + start, *end = bytes + length;
      if (length & 4) {
        words = dsp_add_products(&sums, dsp_load4(bytes), offset, words);
        bytes += 4;
      }
      if (length & 8) {
        words = dsp_add_products(&sums, dsp_load4(bytes), offset, words);
        words = dsp_add_products(&sums, dsp_load4(bytes + 4), offset, words);
        bytes += 8;
      }
      while (bytes != end) {
        words = dsp_add_products(&sums, dsp_load4(bytes), offset, words);
        words = dsp_add_products(&sums, dsp_load4(bytes + 4), offset, words);
        words = dsp_add_products(&sums, dsp_load4(bytes + 8), offset, words);
        words = dsp_add_products(&sums, dsp_load4(bytes + 12), offset, words);
        bytes += 16;
      }
      words += segment_words - length;
    }
    sums.b = dsp_part(sums.b, sums.a) + to[1].bias;
    sums.d = dsp_part(sums.d, sums.c) + to[3].bias;
    requantize4(sums, left, to, w->rounding, limits, out);
    weight += filter_words;
    to += 4;
    out += 4;
  }
}
