/*
 * Sums and differences of two int8 tensors, four elements at a time.  An operand x becomes
 * (x - zero point) * 2**left, times its factor; a factor of 1/2 is no more than another shift.
 */
#pragma once
#include <stdint.h>
#include "mve_requantize.h"

/* `count` elements, at most four, less the zero point, times 2**left. */
MVE_INLINE mve_int32x4 mve_load_shifted(const int8_t *data, int32_t zero_point, int32_t left,
                                        int32_t count) {
#if defined(__ARM_FEATURE_MVE)
  mve_keep_stores();
  const int32x4_t values =
      count == 4 ? vldrbq_s32(data) : vldrbq_z_s32(data, vctp32q((uint32_t)count));
  return vshlq_r_s32(vsubq_n_s32(values, zero_point), left);
#else
  mve_int32x4 vector = {{0}};
  for (int32_t i = 0; i < count; ++i) {
    vector.lane[i] = (data[i] - zero_point) * (1 << left);
  }
  return vector;
#endif
}

MVE_INLINE mve_int32x4 mve_subtract(mve_int32x4 a, mve_int32x4 b) {
#if defined(__ARM_FEATURE_MVE)
  return vsubq_s32(a, b);
#else
  for (int32_t i = 0; i < 4; ++i) {
    a.lane[i] -= b.lane[i];
  }
  return a;
#endif
}

struct mve_operand {
  int32_t zero_point, left, multiplier, shift;
};

/* If `turned`, `a` is the second operand. */
struct mve_summation {
  int32_t turned;
  struct mve_operand a, b;
  int32_t multiplier, shift, zero_point, low, high;
};

enum mve_scaling { MVE_UNSCALED, MVE_RECTIFIED, MVE_DOUBLE, MVE_SINGLE };

MVE_INLINE mve_int32x4 mve_scaled(enum mve_scaling scaling, mve_int32x4 value,
                                  mve_int32x4 multiplier, mve_int32x4 shift) {
  return scaling == MVE_RECTIFIED ? mve_scale_rectified(value, multiplier, shift)
         : scaling == MVE_DOUBLE  ? mve_scale_double(value, multiplier, shift)
         : scaling == MVE_SINGLE  ? mve_scale_single(value, multiplier, shift)
                                  : value;
}

/* `count` elements, a multiple of four unless there is a `rest`; `out` may be `a` or `b`.  How
 * operands and sums are scaled, `adds` and `rest` are literals, mostly the same in all calls. */
MVE_FUNCTION void mve_sum_elements(const struct mve_summation *numbers, enum mve_scaling scaling_a,
                                 enum mve_scaling scaling_b, enum mve_scaling scaling,
                                 int32_t adds, int32_t rest, int32_t count, const int8_t *a,
                                 const int8_t *b, int8_t *out) {
  const struct mve_summation with = *numbers; /* no store changes it */
  if (with.turned) {
    const int8_t *first = a;
    a = b;
    b = first;
  }
  const mve_int32x4 by_a = mve_all(with.a.multiplier), shift_a = mve_all(with.a.shift);
  const mve_int32x4 by_b = mve_all(with.b.multiplier), shift_b = mve_all(with.b.shift);
  const mve_int32x4 by = mve_all(with.multiplier), shift = mve_all(with.shift);
  for (; count > 0; count -= 4) {
    const int32_t some = rest && count < 4 ? count : 4;
    const mve_int32x4 of_a =
        mve_scaled(scaling_a, mve_load_shifted(a, with.a.zero_point, with.a.left, some), by_a, shift_a);
    const mve_int32x4 of_b =
        mve_scaled(scaling_b, mve_load_shifted(b, with.b.zero_point, with.b.left, some), by_b, shift_b);
    const mve_int32x4 sum = adds ? mve_add(of_a, of_b) : mve_subtract(of_a, of_b);
    mve_store(out, mve_scaled(scaling, sum, by, shift), with.zero_point, with.low, with.high, some);
    a += 4;
    b += 4;
    out += 4;
  }
}
