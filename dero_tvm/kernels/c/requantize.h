/*
 * From int32 sums to int8 results, with the bits of the portable kernels.
 *
 * A factor is multiplier * 2^(shift - 31), with 2^30 <= multiplier < 2^31 or 0.  Rounded twice, as
 * LiteRT's reference kernels round, a sum becomes
 *
 *     high   = floor((2 * sum * multiplier + 2^31) / 2^32)
 *     result = high / 2^-shift, rounded to nearest, ties away from zero, plus the zero point
 *
 * for shift < 0.  The second line is (high - (high < 0) + round) >> -shift where `round` has half
 * of 2^-shift and the zero point times 2^-shift.  Rounded once, the result needs neither the 2^31
 * nor the tie of negative numbers.  Both ask for sums below 2^30.  Ties to even, where products can
 * be ties, take 64-bit arithmetic.
 */
#pragma once
#include <stdint.h>
#include "arm_dsp.h"

enum rounding { ROUND_TWICE, ROUND_ONCE, ROUND_ANY_TWICE, ROUND_ANY_ONCE, ROUND_ANY_EVEN };

struct requantization {
  int32_t bias;
  int32_t multiplier;
  int32_t round; /* ROUND_ANY_*: the zero point */
  int32_t right; /* -shift; ROUND_ANY_*: the shift */
};

DSP_INLINE int32_t requantize_twice(int32_t sum, const struct requantization *to) {
  int32_t multiplier = to->multiplier, round = to->round;
  int32_t high = dsp_high_product_rounded((int32_t)((uint32_t)sum * 2), multiplier);
  return (high + (high >> 31) + round) >> to->right;
}

DSP_INLINE int32_t requantize_once(int32_t sum, const struct requantization *to) {
  return (dsp_high_product((int32_t)((uint32_t)sum * 2), to->multiplier) + to->round) >> to->right;
}

/* Any sum and any shift, by 64-bit arithmetic. */
DSP_INLINE int32_t requantize_any(int32_t sum, const struct requantization *to, int32_t rounding) {
  int64_t product = (int64_t)sum * to->multiplier;
  int32_t shift = to->right;
  if (rounding == ROUND_ANY_ONCE) {
    return (int32_t)((product + (INT64_C(1) << (30 - shift))) >> (31 - shift)) + to->round;
  }
  if (rounding == ROUND_ANY_EVEN) {
    int64_t nudged = product + (INT64_C(1) << (30 - shift));
    int32_t up = (int32_t)(nudged >> (31 - shift));
    int32_t tie = !(nudged & ((INT64_C(1) << (31 - shift)) - 1));
    return up - (tie & up) + to->round;
  }
  int32_t left = shift > 0 ? shift : 0;
  int64_t high = (product + (INT64_C(1) << (30 - left))) >> (31 - left);
  int64_t half = (INT64_C(1) << (left - shift)) >> 1;
  high += half - (high < 0 && half > 0);
  return (int32_t)(high >> (left - shift)) + to->round;
}

/* The limits of results, which lie in [-128, 127]. */
struct clamp {
  int16_t minimum;
  int16_t maximum;
};

struct sums {
  int32_t a, b, c, d;
};

/* The results of up to four sums, rounded in any way. */
DSP_NOINLINE static void requantize_others(const struct sums *sums, int32_t count,
                                           const struct requantization *to, int32_t rounding,
                                           int8_t *out) {
  int32_t each[4] = {sums->a, sums->b, sums->c, sums->d};
  for (int32_t i = 0; i < 4 && i < count; ++i) {
    int32_t result = rounding == ROUND_TWICE  ? requantize_twice(each[i], to + i)
                     : rounding == ROUND_ONCE ? requantize_once(each[i], to + i)
                                              : requantize_any(each[i], to + i, rounding);
    out[i] = (int8_t)dsp_saturate8(result);
  }
}

/* The results of four sums; of the first `count` ones if there are less. */
DSP_INLINE void requantize4(struct sums sums, int32_t count, const struct requantization *to,
                            int32_t rounding, struct clamp limits, int8_t *out) {
  if (rounding == ROUND_TWICE && count >= 4) {
    out[0] = (int8_t)dsp_saturate8(requantize_twice(sums.a, to));
    out[1] = (int8_t)dsp_saturate8(requantize_twice(sums.b, to + 1));
    out[2] = (int8_t)dsp_saturate8(requantize_twice(sums.c, to + 2));
    out[3] = (int8_t)dsp_saturate8(requantize_twice(sums.d, to + 3));
  } else {
    requantize_others(&sums, count, to, rounding, out);
  }
  if (limits.minimum != -128 || limits.maximum != 127) {
    for (int32_t i = 0; i < 4 && i < count; ++i) {
      int8_t floor = out[i] < limits.minimum ? (int8_t)limits.minimum : out[i];
      out[i] = floor > limits.maximum ? (int8_t)limits.maximum : floor;
    }
  }
}
