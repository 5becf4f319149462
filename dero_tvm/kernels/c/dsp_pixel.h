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

/*
 * The parts of `dsp_add_products16`: four channels of two filters, with what is to be done behind
 * the load of their words and beside the second and the fourth product.
 */
#define DSP_TWO_FILTERS(low, high, place, behind_load, beside_second, beside_fourth) \
  first = (*words)[place], second = (*words)[(place) + 1];                           \
  behind_load;                                                                       \
  extended = dsp_even(first);                                                        \
  (high) = dsp_dual_multiply_add(even, first, high);                                 \
  beside_second;                                                                     \
  (low) = dsp_dual_multiply_add(even, extended, low);                                \
  extended = dsp_even(second);                                                       \
  (high) = dsp_dual_multiply_add(odd, second, high);                                 \
  beside_fourth;                                                                     \
  (low) = dsp_dual_multiply_add(odd, extended, low)
#define DSP_EVEN even = dsp_even_plus(offset, data)
#define DSP_ODD odd = dsp_odd_plus(offset, data)
#define DSP_LOAD(place) data = dsp_load4(*bytes + (place))
#define DSP_NOTHING (void)0

/*
 * The same of sixteen channels; moves both pointers on.  Written in the order that a Cortex-M7
 * issues two at a time: beside each product goes the extension of the next weights, a load, or a
 * part of the next data.  Only the loads of two words take a turn of their own.
 */
DSP_INLINE void dsp_add_products16(struct sums *sums, const int8_t **bytes, int32_t offset,
                                   const int32_t **words) {
  int32_t data, even, odd, first, second, extended;
  DSP_LOAD(0);
  DSP_TWO_FILTERS(sums->a, sums->b, 0, DSP_EVEN, DSP_ODD, DSP_NOTHING);
  DSP_TWO_FILTERS(sums->c, sums->d, 2, DSP_NOTHING, DSP_LOAD(4), DSP_EVEN);
  DSP_TWO_FILTERS(sums->a, sums->b, 4, DSP_NOTHING, DSP_ODD, DSP_NOTHING);
  DSP_TWO_FILTERS(sums->c, sums->d, 6, DSP_NOTHING, DSP_LOAD(8), DSP_EVEN);
  DSP_TWO_FILTERS(sums->a, sums->b, 8, DSP_NOTHING, DSP_ODD, DSP_NOTHING);
  DSP_TWO_FILTERS(sums->c, sums->d, 10, DSP_NOTHING, DSP_LOAD(12), DSP_EVEN);
  DSP_TWO_FILTERS(sums->a, sums->b, 12, DSP_NOTHING, DSP_ODD, *bytes += 16);
  DSP_TWO_FILTERS(sums->c, sums->d, 14, DSP_NOTHING, *words += 16, DSP_NOTHING);
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
  int32_t plainly = requantizes_plainly(w);
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
        dsp_add_products16(&sums, &bytes, offset, &words);
      }
      words += segment_words - length;
    }
    sums.b = dsp_part(sums.b, sums.a) + to[1].bias;
    sums.d = dsp_part(sums.d, sums.c) + to[3].bias;
    requantize4(sums, left, to, w, plainly, out);
    weight += filter_words;
    to += 4;
    out += 4;
  }
}
