/*
 * Sums, differences and products of int16 operands without zero points, on cores with the DSP
 * extension.
 */
#pragma once
#include <stdint.h>
#include "dsp_scale.h"

#if defined(__GNUC__)
typedef int16_t __attribute__((may_alias)) dsp16_element;
#else
typedef int16_t dsp16_element;
#endif

/* The arithmetic of an addition, all of it literals in the calls of dsp16_add_elements. */
struct dsp16_addition {
  int32_t left;
  struct dsp_factor a, b, out;
  int32_t sign, twice;
  int32_t minimum, maximum;
};

/* The arithmetic of a multiplication, likewise. */
struct dsp16_multiplication {
  struct dsp_factor factor;
  int32_t twice;
  int32_t minimum, maximum;
};

DSP_INLINE int16_t dsp16_limited(int32_t value, int32_t minimum, int32_t maximum) {
  value = value < minimum ? minimum : value;
  return (int16_t)(value > maximum ? maximum : value);
}

/* `count` elements; `out` may lie on `a` or `b`. */
DSP_INLINE void dsp16_add_elements(const struct dsp16_addition *with, int32_t count,
                                   const dsp16_element *a, const dsp16_element *b,
                                   dsp16_element *out) {
  int32_t unit = 1 << with->left;
  for (int32_t i = 0; i < count; ++i) {
    int32_t of_a = dsp_scale(a[i] * unit, with->a, 0, with->twice);
    int32_t of_b = dsp_scale(b[i] * unit, with->b, 0, with->twice);
    int32_t sum = with->sign > 0 ? of_a + of_b : of_a - of_b;
    out[i] = dsp16_limited(dsp_scale(sum, with->out, 0, with->twice), with->minimum, with->maximum);
  }
}

/*
 * A product times the factor, rounded.  Twice the product may be 2^31, which is one too many for 32
 * bits, so twice its negative is given, and what is multiplied is subtracted.
 */
DSP_INLINE int32_t dsp16_scaled(int32_t doubled, struct dsp_factor by, int32_t twice) {
  if (by.right == 0) {
    return dsp_high_difference_rounded(doubled, by.multiplier);
  }
  int32_t added = (int32_t)(1u << (by.right - 1));
  if (!twice) {
    return (dsp_high_difference(doubled, by.multiplier) + added) >> by.right;
  }
  int32_t high = dsp_high_difference_rounded(doubled, by.multiplier);
  return (high + (high >> 31) + added) >> by.right;
}

/* `count` elements; `out` may lie on `a` or `b`. */
DSP_INLINE void dsp16_multiply_elements(const struct dsp16_multiplication *with, int32_t count,
                                        const dsp16_element *a, const dsp16_element *b,
                                        dsp16_element *out) {
  for (int32_t i = 0; i < count; ++i) {
    int32_t scaled = dsp16_scaled(a[i] * (b[i] * -2), with->factor, with->twice);
    out[i] = dsp16_limited(scaled, with->minimum, with->maximum);
  }
}
