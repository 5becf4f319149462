/*
 * Sums and differences of two int8 operands, on cores with the DSP extension.
 */
#pragma once
#include <stdint.h>
#include "dsp_scale.h"

/* An operand's zero point, negated, or that of the sum; a value counts as much as by the factor. */
struct dsp_summand {
  int32_t zero;
  struct dsp_factor by;
};

/* The numbers of an addition: if `turned`, `a` is the second operand. */
struct dsp_addition {
  int32_t turned, left;
  struct dsp_summand a, b, sum;
  int32_t minimum, maximum;
};

/* What is a literal in all calls: factors that nothing is shifted right behind, and so on. */
struct dsp_addition_kind {
  int32_t exact_a, exact_b, exact_sum, adds, twice, limited;
};

DSP_INLINE int32_t dsp_add_scaled(int32_t value, struct dsp_factor by, int32_t zero, int32_t exact,
                                  int32_t twice) {
  const struct dsp_factor exactly = {by.multiplier, 0};
  return exact ? dsp_scale(value, exactly, zero, twice) : dsp_scale_right(value, by, zero, twice);
}

/* One element; `centred_a` and `centred_b` are without their zero points. */
DSP_INLINE int8_t dsp_add_element(const struct dsp_addition *with, struct dsp_addition_kind kind,
                                  int32_t centred_a, int32_t centred_b) {
  int32_t unit = (int32_t)(1u << with->left);
  int32_t a = dsp_add_scaled(centred_a * unit, with->a.by, 0, kind.exact_a, kind.twice);
  int32_t b = dsp_add_scaled(centred_b * unit, with->b.by, 0, kind.exact_b, kind.twice);
  int32_t sum = kind.adds ? a + b : a - b;
  int32_t result = dsp_saturate8(
      dsp_add_scaled(sum, with->sum.by, with->sum.zero, kind.exact_sum, kind.twice));
  if (kind.limited) {
    result = result < with->minimum ? with->minimum : result;
    result = result > with->maximum ? with->maximum : result;
  }
  return (int8_t)result;
}

/* `count` elements; `out` may lie on `a` or `b`. */
DSP_INLINE void dsp_add(const struct dsp_addition *numbers, int32_t exact_a, int32_t exact_b,
                        int32_t exact_sum, int32_t adds, int32_t twice, int32_t limited,
                        int32_t count, const int8_t *a, const int8_t *b, int8_t *out) {
  const struct dsp_addition_kind kind = {exact_a, exact_b, exact_sum, adds, twice, limited};
  const struct dsp_addition copy = *numbers, *const with = &copy; /* no store changes it */
  if (with->turned) {
    const int8_t *first = a;
    a = b;
    b = first;
  }
  const int8_t *end = a + (count & ~3);
  while (a != end) {
    int32_t of_a = dsp_load4(a), of_b = dsp_load4(b);
    a += 4;
    b += 4;
    out[0] = dsp_add_element(with, kind, dsp_byte_plus(with->a.zero, of_a, 0),
                             dsp_byte_plus(with->b.zero, of_b, 0));
    out[1] = dsp_add_element(with, kind, dsp_byte_plus(with->a.zero, of_a, 8),
                             dsp_byte_plus(with->b.zero, of_b, 8));
    out[2] = dsp_add_element(with, kind, dsp_byte_plus(with->a.zero, of_a, 16),
                             dsp_byte_plus(with->b.zero, of_b, 16));
    out[3] = dsp_add_element(with, kind, dsp_byte_plus(with->a.zero, of_a, 24),
                             dsp_byte_plus(with->b.zero, of_b, 24));
    out += 4;
  }
  for (int32_t i = 0; i < (count & 3); ++i) {
    out[i] = dsp_add_element(with, kind, with->a.zero + a[i], with->b.zero + b[i]);
  }
}
