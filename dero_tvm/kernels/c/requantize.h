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
#include "window.h"

/* The ways of rounding that layers of the program take: files rounds_*.h stand in front of this one. */
#if defined(WITH_ROUNDS_TWICE)
#define ROUNDS_TWICE 1
#else
#define ROUNDS_TWICE 0
#endif
#if defined(WITH_ROUNDS_ONCE)
#define ROUNDS_ONCE 1
#else
#define ROUNDS_ONCE 0
#endif
#if defined(WITH_ROUNDS_ANY)
#define ROUNDS_ANY 1
#else
#define ROUNDS_ANY 0
#endif

enum rounding { ROUND_TWICE, ROUND_ONCE, ROUND_ANY_TWICE, ROUND_ANY_ONCE, ROUND_ANY_EVEN };

/* Whether a layer rounds twice, or once, which takes no look where all layers do the same. */
DSP_INLINE int32_t rounds_twice(int32_t rounding) {
  return ROUNDS_TWICE && (rounding == ROUND_TWICE || !(ROUNDS_ONCE || ROUNDS_ANY));
}

DSP_INLINE int32_t rounds_once(int32_t rounding) {
  return ROUNDS_ONCE && (rounding == ROUND_ONCE || !(ROUNDS_TWICE || ROUNDS_ANY));
}

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
    return dsp_to_even(product + (INT64_C(1) << (30 - shift)), 31 - shift) + to->round;
  }
  int32_t left = shift > 0 ? shift : 0;
  int64_t high = (product + (INT64_C(1) << (30 - left))) >> (31 - left);
  int64_t half = (INT64_C(1) << (left - shift)) >> 1;
  high += half - (high < 0 && half > 0);
  return (int32_t)(high >> (left - shift)) + to->round;
}

/* A sum rounded in any way that a layer takes. */
DSP_INLINE int32_t requantize_sum(int32_t sum, const struct requantization *to, int32_t rounding) {
  if (rounds_twice(rounding)) {
    return requantize_twice(sum, to);
  }
  if (rounds_once(rounding)) {
    return requantize_once(sum, to);
  }
  return ROUNDS_ANY ? requantize_any(sum, to, rounding) : 0;
}

struct sums {
  int32_t a, b, c, d;
};

/* The results of up to four sums, rounded in any way and limited. */
TVMGEN_HOT
DSP_NOINLINE static void requantize_others(const struct sums *sums, int32_t count,
                                           const struct requantization *to,
                                           const struct window *w, int8_t *out) {
  int32_t each[4] = {sums->a, sums->b, sums->c, sums->d};
  for (int32_t i = 0; i < 4 && i < count; ++i) {
    int32_t result = requantize_sum(each[i], to + i, w->rounding);
    result = result < w->minimum ? w->minimum : result;
    out[i] = (int8_t)(result > w->maximum ? w->maximum : result);
  }
}

/*
 * The results of two sums, rounded `twice` or once, side by side, so that a core with two pipes has
 * something for both.  On one with a single pipe, loads cost half where they stand together.
 */
DSP_INLINE void requantize_two(int32_t a, int32_t b, const struct requantization *to, int32_t twice,
                               int8_t *out) {
  int32_t factor_a = to[0].multiplier, factor_b = to[1].multiplier;
  int32_t round_a = to[0].round, right_a = to[0].right;
  int32_t round_b = to[1].round, right_b = to[1].right;
  DSP_SIX_TOGETHER(factor_a, factor_b, round_a, right_a, round_b, right_b);
  a = (int32_t)((uint32_t)a * 2);
  b = (int32_t)((uint32_t)b * 2);
  if (twice) {
    a = dsp_high_product_rounded(a, factor_a);
    b = dsp_high_product_rounded(b, factor_b);
    a += a >> 31;
    b += b >> 31;
  } else {
    a = dsp_high_product(a, factor_a);
    b = dsp_high_product(b, factor_b);
  }
  a += round_a;
  b += round_b;
  a >>= right_a;
  b >>= right_b;
  out[0] = (int8_t)dsp_saturate8(a);
  out[1] = (int8_t)dsp_saturate8(b);
}

enum plain { NOT_PLAIN, PLAIN_TWICE, PLAIN_ONCE };

/* Whether results take all of int8, which needs no further look, and how they are rounded then. */
DSP_INLINE int32_t requantizes_plainly(const struct window *w) {
  int32_t rounding = rounds_twice(w->rounding)  ? PLAIN_TWICE
                     : rounds_once(w->rounding) ? PLAIN_ONCE
                                                : NOT_PLAIN;
  return w->minimum == -128 && w->maximum == 127 ? rounding : NOT_PLAIN;
}

/*
 * The results of four sums; of the first `count` ones if there are less.  `plainly` is what
 * `requantizes_plainly` says, asked once.
 */
DSP_INLINE void requantize4(struct sums sums, int32_t count, const struct requantization *to,
                            const struct window *w, int32_t plainly, int8_t *out) {
  if (ROUNDS_TWICE && plainly == PLAIN_TWICE && count >= 4) {
    DSP_IN_REGISTER(to); /* it is read at once, twelve times */
    requantize_two(sums.a, sums.b, to, 1, out);
    requantize_two(sums.c, sums.d, to + 2, 1, out + 2);
  } else if (ROUNDS_ONCE && plainly == PLAIN_ONCE && count >= 4) {
    DSP_IN_REGISTER(to);
    requantize_two(sums.a, sums.b, to, 0, out);
    requantize_two(sums.c, sums.d, to + 2, 0, out + 2);
  } else {
    const struct sums others = sums; /* a copy, so that `sums` stay in registers */
    requantize_others(&others, count, to, w, out);
  }
}
