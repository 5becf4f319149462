/*
 * Pixels of a pointwise convolution from eight channels, int8, on cores with the DSP extension.
 *
 * A pixel is extended once and stays in registers while all its filters are computed, two at a
 * time.  With so few products a result, the loads and branches of a loop over channels would take
 * as long as the products.
 */
#pragma once
#include <stdint.h>
#include "dsp_products.h"

/*
 * A sum rounded once, as `requantize_once` does it.  Of a shift of two bits and more the last one
 * does not matter before what is added has been: half of `round`, and a bit less of `right`.
 */
DSP_INLINE int32_t requantize_halved(int32_t sum, const struct requantization *to) {
  int32_t multiplier = to->multiplier, round = to->round;
  return dsp_high_product_plus(round, sum, multiplier) >> to->right;
}

/* Bytes (0, 2), (1, 3), (4, 6) and (5, 7) of a pixel less its zero point, as halves. */
struct narrow_pixel {
  int32_t a, b, c, d;
};

/* Four channels more in the sums of two filters; of both words' halves one is each filter's. */
DSP_INLINE void dsp_add_narrow(int32_t a, int32_t b, const int32_t *words, int32_t *low,
                               int32_t *high) {
  int32_t first = words[0], second = words[1];
  *high = dsp_dual_multiply_add(a, first, *high);
  first = dsp_even(first);
  *low = dsp_dual_multiply_add(a, first, *low);
  *high = dsp_dual_multiply_add(b, second, *high);
  second = dsp_even(second);
  *low = dsp_dual_multiply_add(b, second, *low);
}

/* Two filters of four, whose words `dsp_products.h` describes. */
DSP_INLINE void dsp_two_narrow(struct narrow_pixel pixel, const int32_t *words,
                               const struct requantization *to, int32_t twice, int8_t *out) {
  int32_t low = to[0].bias, high = low;
  dsp_add_narrow(pixel.a, pixel.b, words, &low, &high);
  dsp_add_narrow(pixel.c, pixel.d, words + 4, &low, &high);
  high = dsp_part(high, low) + to[1].bias;
  if (twice) {
    requantize_two(low, high, to, 1, out);
  } else {
    out[0] = (int8_t)dsp_saturate8(requantize_halved(low, to));
    out[1] = (int8_t)dsp_saturate8(requantize_halved(high, to + 1));
  }
}

/* Filters are a multiple of four and results take all of int8; rounded once, by halved factors. */
DSP_INLINE void dsp_narrow_row(const struct window *w, const int8_t *from, int32_t pixels,
                               const int32_t *weight, const struct requantization *factors,
                               int8_t *out, int32_t twice) {
  int32_t offset = dsp_halves(-w->zero_point, -w->zero_point);
  const struct requantization *end = factors + w->filters;
  for (; pixels > 0; --pixels) {
    int32_t first = dsp_load4(from), second = dsp_load4(from + 4);
    struct narrow_pixel pixel = {dsp_even_plus(offset, first), dsp_odd_plus(offset, first),
                                 dsp_even_plus(offset, second), dsp_odd_plus(offset, second)};
    const int32_t *words = weight;
    int8_t *result = out;
    for (const struct requantization *to = factors; to != end; to += 4) {
      DSP_IN_REGISTER(words);
      dsp_two_narrow(pixel, words, to, twice, result);
      dsp_two_narrow(pixel, words + 2, to + 2, twice, result + 2);
      words += 8;
      result += 4;
    }
    from += w->stride_w * w->in_pixel;
    out += w->out_pixel;
  }
}

TVMGEN_HOT
DSP_LOOPS DSP_NOINLINE static void dsp_narrow_once(const struct window *w, const int8_t *from,
                                                   int32_t pixels, const int32_t *weight,
                                                   const struct requantization *factors,
                                                   int8_t *out) {
  dsp_narrow_row(w, from, pixels, weight, factors, out, 0);
}

TVMGEN_HOT
DSP_LOOPS DSP_NOINLINE static void dsp_narrow_twice(const struct window *w, const int8_t *from,
                                                    int32_t pixels, const int32_t *weight,
                                                    const struct requantization *factors,
                                                    int8_t *out) {
  dsp_narrow_row(w, from, pixels, weight, factors, out, 1);
}
