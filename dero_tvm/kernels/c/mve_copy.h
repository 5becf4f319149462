/*
 * Copies and fills of a few bytes up to a row, in line.
 */
#pragma once
#include <stdint.h>
#include "mve_vector.h"

MVE_INLINE void mve_copy(int8_t *to, const int8_t *from, int32_t count) {
#if defined(__ARM_FEATURE_MVE)
  for (; count >= 16; count -= 16, to += 16, from += 16) {
    vstrbq_s8(to, vldrbq_s8(from));
  }
  if (count > 0) {
    const mve_pred16_t some = vctp8q((uint32_t)count);
    mve_keep_stores();
    vstrbq_p_s8(to, vldrbq_z_s8(from, some), some);
    mve_keep_stores();
  }
#else
  (void)memcpy(to, from, (size_t)count);
#endif
}

MVE_INLINE void mve_fill(int8_t *to, int32_t value, int32_t count) {
#if defined(__ARM_FEATURE_MVE)
  const int8x16_t values = vdupq_n_s8((int8_t)value);
  for (; count >= 16; count -= 16, to += 16) {
    vstrbq_s8(to, values);
  }
  if (count > 0) {
    mve_keep_stores();
    vstrbq_p_s8(to, values, vctp8q((uint32_t)count));
    mve_keep_stores();
  }
#else
  (void)memset(to, value, (size_t)count);
#endif
}
