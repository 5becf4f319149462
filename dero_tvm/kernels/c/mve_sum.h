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
