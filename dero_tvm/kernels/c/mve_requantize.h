/*
 * Requantization of four accumulators at a time, and the store of their int8 results.
 *
 * A factor is multiplier * 2**(shift - 31).  VQRDMULH rounds the doubled high half of a product as
 * LiteRT does, ties upwards.  VRSHL rounds ties upwards as well, where LiteRT rounds them away
 * from zero, so that one is taken off a negative number first.
 */
#pragma once
#include <stdint.h>
#include "mve_vector.h"

MVE_INLINE mve_int32x4 mve_add(mve_int32x4 a, mve_int32x4 b) {
#if defined(__ARM_FEATURE_MVE)
  return vaddq_s32(a, b);
#else
  for (int32_t i = 0; i < 4; ++i) {
    a.lane[i] += b.lane[i];
  }
  return a;
#endif
}

/* LiteRT's two roundings, of factors with a shift below zero. */
MVE_INLINE mve_int32x4 mve_scale_double(mve_int32x4 value, mve_int32x4 multiplier,
                                        mve_int32x4 shift) {
#if defined(__ARM_FEATURE_MVE)
  value = vqrdmulhq_s32(value, multiplier);
  return vrshlq_s32(vqdmlahq_n_s32(value, value, 1), shift); /* value + (value >> 31) */
#else
  for (int32_t i = 0; i < 4; ++i) {
    const int64_t product = (int64_t)value.lane[i] * multiplier.lane[i];
    const int64_t high = (product + (1 << 30)) >> 31;
    const int32_t right = -shift.lane[i];
    value.lane[i] = (int32_t)((high + (INT64_C(1) << (right - 1)) - (high < 0)) >> right);
  }
  return value;
#endif
}

/* The same where results below zero may be rounded in any way, because the clamp lifts them. */
MVE_INLINE mve_int32x4 mve_scale_rectified(mve_int32x4 value, mve_int32x4 multiplier,
                                           mve_int32x4 shift) {
#if defined(__ARM_FEATURE_MVE)
  return vrshlq_s32(vqrdmulhq_s32(value, multiplier), shift);
#else
  return mve_scale_double(value, multiplier, shift);
#endif
}

/* One rounding, ties upwards, of factors with a shift below -1: the low half of the product cannot
 * change the result.  `shift` is one more than the factor's. */
MVE_INLINE mve_int32x4 mve_scale_single(mve_int32x4 value, mve_int32x4 multiplier,
                                        mve_int32x4 shift) {
#if defined(__ARM_FEATURE_MVE)
  return vrshlq_s32(vmulhq_s32(value, multiplier), shift);
#else
  for (int32_t i = 0; i < 4; ++i) {
    const int64_t product = (int64_t)value.lane[i] * multiplier.lane[i];
    const int32_t drop = 32 - shift.lane[i];
    value.lane[i] = (int32_t)((product + (INT64_C(1) << (drop - 1))) >> drop);
  }
  return value;
#endif
}

/* value + offset, limited to [low, high]. */
MVE_INLINE mve_int32x4 mve_limit(mve_int32x4 value, int32_t offset, mve_int32x4 low,
                                 mve_int32x4 high) {
#if defined(__ARM_FEATURE_MVE)
  return vminq_s32(vmaxq_s32(vaddq_n_s32(value, offset), low), high);
#else
  for (int32_t i = 0; i < 4; ++i) {
    const int32_t result = value.lane[i] + offset;
    value.lane[i] = result < low.lane[i]    ? low.lane[i]
                    : result > high.lane[i] ? high.lane[i]
                                            : result;
  }
  return value;
#endif
}

/* Stores the first `count` lanes, all four if it is more, of numbers in the range of int8. */
MVE_INLINE void mve_store_limited(int8_t *out, mve_int32x4 value, int32_t count) {
#if defined(__ARM_FEATURE_MVE)
  mve_keep_stores();
  if (count >= 4) {
    vstrbq_s32(out, value);
  } else {
    vstrbq_p_s32(out, value, vctp32q((uint32_t)count));
  }
  mve_keep_stores();
#else
  for (int32_t i = 0; i < 4 && i < count; ++i) {
    out[i] = (int8_t)value.lane[i];
  }
#endif
}

/* Stores the first `count` lanes of value + offset, limited to [low, high]. */
MVE_INLINE void mve_store(int8_t *out, mve_int32x4 value, int32_t offset, int32_t low,
                          int32_t high, int32_t count) {
  mve_store_limited(out, mve_limit(value, offset, mve_all(low), mve_all(high)), count);
}
