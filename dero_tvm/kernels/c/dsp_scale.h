/*
 * Rounded products with a factor of at most 1, on cores with the DSP extension.
 */
#pragma once
#include <stdint.h>
#include "arm_dsp.h"

/* multiplier * 2^-31 * 2^-right */
struct dsp_factor {
  int32_t multiplier, right;
};

/* Half of `doubled`, times a factor below a half, rounded, plus `zero`. */
DSP_INLINE int32_t dsp_scale_right(int32_t doubled, struct dsp_factor by, int32_t zero,
                                   int32_t twice) {
  int32_t added = (int32_t)((1u << (by.right - 1)) + ((uint32_t)zero << by.right));
  if (!twice) {
    return (dsp_high_product(doubled, by.multiplier) + added) >> by.right;
  }
  int32_t high = dsp_high_product_rounded(doubled, by.multiplier);
  return (high + (high >> 31) + added) >> by.right;
}

/* A value below 2^30 times a factor, rounded, plus `zero`. */
DSP_INLINE int32_t dsp_scale(int32_t value, struct dsp_factor by, int32_t zero, int32_t twice) {
  if (by.right == 0) {
    return dsp_high_product_rounded(value * 2, by.multiplier) + zero;
  }
  return dsp_scale_right(value * 2, by, zero, twice);
}
