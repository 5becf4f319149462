/*
 * Means, sums and averages over height and width, int8, on cores with the DSP extension: four
 * channels at a time, in halves of words as long as no half can overflow.
 */
#pragma once
#include <stdint.h>
#include "requantize.h"

#define TOTALS_TERMS 256 /* of bytes, whose sum fits a half */

struct totals {
  int32_t calls;    /* for one row of results */
  int32_t pixels;   /* of one call */
  int32_t channels;
  int32_t pixel;    /* bytes from one pixel to the next */
  int32_t divisor;  /* of an average in the scale of its data; else 0 */
  int32_t rounding; /* enum rounding */
  int32_t ties;     /* ROUND_TWICE: -1, or 0 if there is nothing to round for the second time */
  int32_t minimum, maximum;
  struct requantization to;
};

/* A sum divided by the number of its terms, to nearest, ties away from zero. */
DSP_INLINE int32_t dsp_total_average(int32_t sum, int32_t divisor) {
  int32_t half = divisor / 2;
  return (sum > 0 ? sum + half : sum - half) / divisor;
}

/* A sum times a factor, as `requantize_twice` does it. */
DSP_INLINE int32_t dsp_total_scaled(int32_t sum, const struct requantization *to, int32_t ties) {
  int32_t doubled = (int32_t)((uint32_t)(sum + to->bias) * 2);
  int32_t high = dsp_high_product_rounded(doubled, to->multiplier);
  return (high + ((high >> 31) & ties) + to->round) >> to->right;
}

/* The result of a sum, in any way of rounding. */
TVMGEN_HOT
DSP_NOINLINE static int8_t dsp_total_result(const struct totals *t, int32_t sum) {
  int32_t result;
  if (t->divisor) {
    result = dsp_total_average(sum, t->divisor);
  } else if (rounds_twice(t->rounding)) {
    result = dsp_total_scaled(sum, &t->to, t->ties);
  } else {
    result = requantize_sum(sum + t->to.bias, &t->to, t->rounding);
  }
  result = result < t->minimum ? t->minimum : result;
  return (int8_t)(result > t->maximum ? t->maximum : result);
}

/* The results of four sums, `usual` ones by the factor `to` or the divisor. */
DSP_INLINE void dsp_total_results(const struct totals *t, struct sums sums, int32_t usual,
                                  const struct requantization *to, int32_t ties, int32_t divisor,
                                  int8_t *out) {
  if (usual && divisor) {
    out[0] = (int8_t)dsp_total_average(sums.a, divisor);
    out[1] = (int8_t)dsp_total_average(sums.b, divisor);
    out[2] = (int8_t)dsp_total_average(sums.c, divisor);
    out[3] = (int8_t)dsp_total_average(sums.d, divisor);
  } else if (usual) {
    out[0] = (int8_t)dsp_saturate8(dsp_total_scaled(sums.a, to, ties));
    out[1] = (int8_t)dsp_saturate8(dsp_total_scaled(sums.b, to, ties));
    out[2] = (int8_t)dsp_saturate8(dsp_total_scaled(sums.c, to, ties));
    out[3] = (int8_t)dsp_saturate8(dsp_total_scaled(sums.d, to, ties));
  } else {
    out[0] = dsp_total_result(t, sums.a);
    out[1] = dsp_total_result(t, sums.b);
    out[2] = dsp_total_result(t, sums.c);
    out[3] = dsp_total_result(t, sums.d);
  }
}

/* Adds four channels of all pixels. */
DSP_INLINE struct sums dsp_totals_plus(struct sums sums, const int8_t *bytes, int32_t pixels,
                                       int32_t step) {
  for (int32_t left = pixels; left > 0; left -= TOTALS_TERMS) {
    int32_t count = left < TOTALS_TERMS ? left : TOTALS_TERMS, even = 0, odd = 0;
    const int8_t *end = bytes + count * step;
    if (count & 1) {
      int32_t word = dsp_load4(bytes);
      even = dsp_even(word), odd = dsp_odd(word);
      bytes += step;
    }
    while (bytes != end) {
      int32_t word = dsp_load4(bytes);
      bytes += step;
      even = dsp_even_plus(even, word), odd = dsp_odd_plus(odd, word);
      word = dsp_load4(bytes);
      bytes += step;
      even = dsp_even_plus(even, word), odd = dsp_odd_plus(odd, word);
    }
    sums.a += dsp_low(even), sums.b += dsp_low(odd);
    sums.c += dsp_high(even), sums.d += dsp_high(odd);
  }
  return sums;
}

/*
 * Adds the pixels at `data` to the sums in `state`, which the first call sets, and writes the
 * results with the last one.  What is first and last at once needs no state.
 */
TVMGEN_HOT
DSP_NOINLINE static void dsp_totals(const struct totals *t, const int8_t *data, int32_t first,
                                    int32_t last, int32_t *state, int8_t *out) {
  /* Copies: for all that C knows, a result may be written over what `t` points to. */
  struct requantization to = t->to;
  int32_t pixels = t->pixels, step = t->pixel, channels = t->channels, channel = 0;
  int32_t divisor = t->divisor, ties = t->ties;
  int32_t usual = (divisor || rounds_twice(t->rounding)) && t->minimum == -128 &&
                  t->maximum == 127;
  for (; channel < (channels & ~3); channel += 4) {
    struct sums sums = {0, 0, 0, 0};
    if (!first) {
      sums.a = state[channel], sums.b = state[channel + 1];
      sums.c = state[channel + 2], sums.d = state[channel + 3];
    }
    sums = dsp_totals_plus(sums, data + channel, pixels, step);
    if (last) {
      dsp_total_results(t, sums, usual, &to, ties, divisor, out + channel);
    } else {
      state[channel] = sums.a, state[channel + 1] = sums.b;
      state[channel + 2] = sums.c, state[channel + 3] = sums.d;
    }
  }
  for (; channel < channels; ++channel) {
    int32_t sum = first ? 0 : state[channel];
    for (int32_t pixel = 0; pixel < pixels; ++pixel) {
      sum += data[pixel * step + channel];
    }
    if (last) {
      out[channel] = dsp_total_result(t, sum);
    } else {
      state[channel] = sum;
    }
  }
}
