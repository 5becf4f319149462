/* Depthwise convolution of eight channels: products and their sums in int16 as long as they fit,
 * then in int32, channels 0, 2, 4, 6 in one vector and 1, 3, 5, 7 in another. */
#include <stdint.h>

#include "mve_requantize.c"
#include "mve_vector.c"

typedef struct {
  mve_int32x4 even, odd;
} mve_sums;

MVE_FUNCTION mve_sums mve_load_sums(const int32_t *values) {
  const mve_sums sums = {mve_load(values), mve_load(values + 4)};
  return sums;
}

/* Eight int8 values; of the last `channels` < 8 of a tensor, zeros behind them. */
MVE_FUNCTION mve_int16x8 mve_load_bytes(const int8_t *values, int32_t channels) {
#if defined(__ARM_FEATURE_MVE)
  return channels == 8 ? vldrbq_s16(values) : vldrbq_z_s16(values, vctp16q((uint32_t)channels));
#else
  mve_int16x8 vector = {{0}};
  for (int32_t i = 0; i < channels; ++i) {
    vector.lane[i] = values[i];
  }
  return vector;
#endif
}

MVE_FUNCTION mve_int16x8 mve_product(const int8_t *data, const int8_t *weights, int32_t channels) {
#if defined(__ARM_FEATURE_MVE)
  return vmulq_s16(mve_load_bytes(data, channels), vldrbq_s16(weights));
#else
  mve_int16x8 product = mve_load_bytes(data, channels);
  for (int32_t i = 0; i < 8; ++i) {
    product.lane[i] = (int16_t)(product.lane[i] * weights[i]);
  }
  return product;
#endif
}

MVE_FUNCTION mve_int16x8 mve_add_short(mve_int16x8 a, mve_int16x8 b) {
#if defined(__ARM_FEATURE_MVE)
  return vaddq_s16(a, b);
#else
  for (int32_t i = 0; i < 8; ++i) {
    a.lane[i] = (int16_t)(a.lane[i] + b.lane[i]);
  }
  return a;
#endif
}

/* sums + values */
MVE_FUNCTION mve_sums mve_add_widened(mve_sums sums, mve_int16x8 values) {
#if defined(__ARM_FEATURE_MVE)
  sums.even = vaddq_s32(sums.even, vmovlbq_s16(values));
  sums.odd = vaddq_s32(sums.odd, vmovltq_s16(values));
#else
  for (int32_t i = 0; i < 4; ++i) {
    sums.even.lane[i] += values.lane[2 * i];
    sums.odd.lane[i] += values.lane[2 * i + 1];
  }
#endif
  return sums;
}

/* sums + factor * values */
MVE_FUNCTION mve_sums mve_add_scaled(mve_sums sums, mve_int16x8 values, int32_t factor) {
#if defined(__ARM_FEATURE_MVE)
  sums.even = vmlaq_n_s32(sums.even, vmovlbq_s16(values), factor);
  sums.odd = vmlaq_n_s32(sums.odd, vmovltq_s16(values), factor);
#else
  for (int32_t i = 0; i < 4; ++i) {
    sums.even.lane[i] += factor * values.lane[2 * i];
    sums.odd.lane[i] += factor * values.lane[2 * i + 1];
  }
#endif
  return sums;
}

/* Adds the taps of one row of a window, `step` bytes apart.  Sums of `group` products fit int16. */
MVE_FUNCTION mve_sums mve_row_taps(mve_sums sums, const int8_t *data, int32_t step,
                                   const int8_t *weights, int32_t taps, int32_t group,
                                   int32_t channels) {
  while (taps > 0) {
    mve_int16x8 products = mve_product(data, weights, channels);
    for (int32_t i = 1; i < group && i < taps; ++i) {
      const mve_int16x8 next = mve_product(data + i * step, weights + 8 * i, channels);
      products = mve_add_short(products, next);
    }
    sums = mve_add_widened(sums, products);
    data += group * step;
    weights += 8 * group;
    taps -= group;
  }
  return sums;
}

/* The sum of weights of one row of a window, for the input's zero point. */
MVE_FUNCTION mve_int16x8 mve_row_weights(mve_int16x8 sum, const int8_t *weights, int32_t taps) {
  for (int32_t i = 0; i < taps; ++i) {
    sum = mve_add_short(sum, mve_load_bytes(weights + 8 * i, 8));
  }
  return sum;
}

/* Stores the eight channels, or the last ones of a tensor, limited to [low, high]. */
MVE_FUNCTION void mve_store_sums(int8_t *out, mve_sums sums, int32_t offset, int32_t low,
                                 int32_t high, int32_t channels) {
#if defined(__ARM_FEATURE_MVE)
  int16x8_t narrow = vqmovnbq_s32(vreinterpretq_s16_s32(sums.even), sums.even);
  narrow = vqaddq_n_s16(vqmovntq_s32(narrow, sums.odd), (int16_t)offset);
  narrow = vminq_s16(vmaxq_s16(narrow, vdupq_n_s16((int16_t)low)), vdupq_n_s16((int16_t)high));
  if (channels == 8) {
    vstrbq_s16(out, narrow);
  } else {
    vstrbq_p_s16(out, narrow, vctp16q((uint32_t)channels));
  }
#else
  for (int32_t i = 0; i < channels; ++i) {
    const int32_t sum = i % 2 ? sums.odd.lane[i / 2] : sums.even.lane[i / 2];
    const int64_t value = (int64_t)sum + offset;
    out[i] = (int8_t)(value < low ? low : value > high ? high : value);
  }
#endif
}
