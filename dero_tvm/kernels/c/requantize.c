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
 * nor the tie of negative numbers.  Both ask for sums below 2^30.
 */
#include <stdint.h>
#include "arm_dsp.c"

struct requantization {
  int32_t bias;
  int32_t multiplier;
  int32_t round; /* DSP_ROUND_ANY: the zero point */
  int32_t right; /* -shift; DSP_ROUND_ANY_*: the shift */
};

enum { DSP_ROUND_TWICE, DSP_ROUND_ONCE, DSP_ROUND_ANY_TWICE, DSP_ROUND_ANY_ONCE };

DSP_INLINE int32_t requantize_twice(int32_t sum, const struct requantization *to) {
  int32_t high = dsp_high_product_rounded(sum * 2, to->multiplier);
  return (high + (high >> 31) + to->round) >> to->right;
}

DSP_INLINE int32_t requantize_once(int32_t sum, const struct requantization *to) {
  return (dsp_high_product(sum * 2, to->multiplier) + to->round) >> to->right;
}

/* Any sum and any shift, by 64-bit arithmetic. */
DSP_INLINE int32_t requantize_any(int32_t sum, const struct requantization *to, int32_t twice) {
  int64_t product = (int64_t)sum * to->multiplier;
  int32_t shift = to->right;
  if (!twice) {
    return (int32_t)((product + (INT64_C(1) << (30 - shift))) >> (31 - shift)) + to->round;
  }
  int32_t left = shift > 0 ? shift : 0;
  int64_t high = (product + (INT64_C(1) << (30 - left))) >> (31 - left);
  int64_t half = (INT64_C(1) << (left - shift)) >> 1;
  high += half - (high < 0 && half > 0);
  return (int32_t)(high >> (left - shift)) + to->round;
}
