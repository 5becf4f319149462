/*
 * Sums and differences of two int8 operands, on cores with the DSP extension.
 */
#pragma once
#include <stdint.h>
#include "dsp_scale.h"

/* An operand: its zero point, negated; how far it is shifted left, which doubles what is scaled. */
struct dsp_operand {
  int32_t zero, left;
  struct dsp_factor by;
};

/* The numbers of an addition: if `turned`, `a` is the second operand. */
struct dsp_addition {
  int32_t turned;
  struct dsp_operand a, b;
  int32_t zero;
  struct dsp_factor by;
  int32_t minimum, maximum;
};

/* By a half, which is less to shift; by what is not shifted right behind; by any other factor. */
enum dsp_scaling { DSP_HALF, DSP_EXACT, DSP_RIGHT };

/* What is a literal in all calls, mostly the same. */
struct dsp_addition_kind {
  enum dsp_scaling a, b, sum;
  int32_t adds, twice, limited;
};

DSP_INLINE int32_t dsp_add_scaled(int32_t doubled, enum dsp_scaling scaling, struct dsp_factor by,
                                  int32_t zero, int32_t twice) {
  return scaling == DSP_HALF    ? doubled
         : scaling == DSP_EXACT ? dsp_high_product_rounded(doubled, by.multiplier) + zero
                                : dsp_scale_right(doubled, by, zero, twice);
}

DSP_INLINE int32_t dsp_operand_scaled(int32_t centred, enum dsp_scaling scaling,
                                      const struct dsp_operand *of, int32_t twice) {
  int32_t shifted = (int32_t)((uint32_t)centred << of->left);
  return dsp_add_scaled(shifted, scaling, of->by, 0, twice);
}

/* One element; `centred_a` and `centred_b` are without their zero points. */
DSP_INLINE int8_t dsp_add_element(const struct dsp_addition *with, struct dsp_addition_kind kind,
                                  int32_t centred_a, int32_t centred_b) {
  int32_t a = dsp_operand_scaled(centred_a, kind.a, &with->a, kind.twice);
  int32_t b = dsp_operand_scaled(centred_b, kind.b, &with->b, kind.twice);
  int32_t sum = kind.adds ? a + b : a - b;
  int32_t result =
      dsp_saturate8(dsp_add_scaled(sum * 2, kind.sum, with->by, with->zero, kind.twice));
  if (kind.limited) {
    result = result < with->minimum ? with->minimum : result;
    result = result > with->maximum ? with->maximum : result;
  }
  return (int8_t)result;
}

/* `count` elements; `out` may lie on `a` or `b`. */
DSP_SHARED void dsp_add(const struct dsp_addition *numbers, enum dsp_scaling scaling_a,
                        enum dsp_scaling scaling_b, enum dsp_scaling scaling, int32_t adds,
                        int32_t twice, int32_t limited, int32_t count, const int8_t *a,
                        const int8_t *b, int8_t *out) {
  const struct dsp_addition_kind kind = {scaling_a, scaling_b, scaling, adds, twice, limited};
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
