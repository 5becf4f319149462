/*
 * Pooling windows: the greatest of 16 channels at a time, the sum of four.
 */
#pragma once
#include <stdint.h>
#include "mve_vector.h"

/* Of `rows` rows, each of `columns` taps that are `step` bytes apart, the greatest element of each
 * of `count` <= 16 channels, limited to [low, high]. */
MVE_INLINE void mve_pool_greatest(int8_t *out, const int8_t *const *lines, int32_t rows,
                                  int32_t columns, int32_t step, int32_t low, int32_t high,
                                  int32_t count) {
#if defined(__ARM_FEATURE_MVE)
  const mve_pred16_t some = vctp8q((uint32_t)count);
  int8x16_t greatest = vdupq_n_s8((int8_t)low);
  mve_keep_stores();
  for (int32_t i = 0; i < rows; ++i) {
    const int8_t *x = lines[i];
    for (int32_t j = 0; j < columns; ++j, x += step) {
      greatest = vmaxq_s8(greatest, vldrbq_z_s8(x, some));
    }
  }
  mve_keep_stores();
  vstrbq_p_s8(out, vminq_s8(greatest, vdupq_n_s8((int8_t)high)), some);
  mve_keep_stores();
#else
  for (int32_t channel = 0; channel < count; ++channel) {
    int32_t greatest = low;
    for (int32_t i = 0; i < rows; ++i) {
      for (int32_t j = 0; j < columns; ++j) {
        const int32_t value = lines[i][j * step + channel];
        greatest = value > greatest ? value : greatest;
      }
    }
    out[channel] = (int8_t)(greatest > high ? high : greatest);
  }
#endif
}

/* sums[0 .. count) += the elements of `columns` taps of a row, count <= 4 channels */
MVE_INLINE void mve_pool_add(int32_t sums[4], const int8_t *data, int32_t columns, int32_t step,
                             int32_t count) {
#if defined(__ARM_FEATURE_MVE)
  const mve_pred16_t some = vctp32q((uint32_t)count);
  int32x4_t total = vldrwq_s32(sums);
  mve_keep_stores();
  for (int32_t j = 0; j < columns; ++j, data += step) {
    total = vaddq_s32(total, vldrbq_z_s32(data, some));
  }
  vstrwq_s32(sums, total);
#else
  for (int32_t j = 0; j < columns; ++j) {
    for (int32_t channel = 0; channel < count; ++channel) {
      sums[channel] += data[j * step + channel];
    }
  }
#endif
}

/* The most taps whose sums are divided by a product: n / taps = n * m >> 32 with m = 2^32 / taps,
 * rounded up, as long as n * taps < 2^32, and n is at most 128 * taps + taps / 2. */
#define MVE_TAPS_BY_PRODUCT 5769

/* Stores sums / taps, rounded to nearest, ties away from zero, limited to [low, high]. */
MVE_INLINE void mve_pool_average(int8_t *out, const int32_t sums[4], int32_t taps, int32_t low,
                                 int32_t high, int32_t count) {
#if defined(__ARM_FEATURE_MVE)
  if (taps > 1 && taps <= MVE_TAPS_BY_PRODUCT) {
    const int32x4_t total = vldrwq_s32(sums);
    const uint32x4_t reciprocal = vdupq_n_u32(UINT32_MAX / (uint32_t)taps + 1u);
    const uint32x4_t sizes = vreinterpretq_u32_s32(vabsq_s32(total));
    const int32x4_t size = vreinterpretq_s32_u32(
        vmulhq_u32(vaddq_n_u32(sizes, (uint32_t)(taps / 2)), reciprocal));
    int32x4_t average = vnegq_m_s32(size, size, vcmpltq_n_s32(total, 0));
    average = vmaxq_s32(vminq_s32(average, vdupq_n_s32(high)), vdupq_n_s32(low));
    mve_keep_stores();
    vstrbq_p_s32(out, average, vctp32q((uint32_t)count));
    mve_keep_stores();
    return;
  }
#endif
  for (int32_t channel = 0; channel < count; ++channel) {
    const int32_t half = sums[channel] > 0 ? taps / 2 : -(taps / 2);
    const int32_t average = (sums[channel] + half) / taps;
    out[channel] = (int8_t)(average < low ? low : average > high ? high : average);
  }
}
