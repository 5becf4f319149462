/*
 * Sums and differences of two int8 operands, on cores with the DSP extension.
 */
#pragma once
#include <stdint.h>
#include "dsp_scale.h"

/* The arithmetic of an addition, all of it literals in the calls of dsp_add. */
struct dsp_addition {
  int32_t zero_a, zero_b, zero_out; /* the first two negated */
  int32_t left;
  struct dsp_factor a, b, out;
  int32_t sign, twice;
  int32_t minimum, maximum;
};

/* One element; `centred_a` and `centred_b` are without their zero points. */
DSP_INLINE int8_t dsp_add_element(const struct dsp_addition *with, int32_t centred_a,
                                  int32_t centred_b) {
  int32_t unit = 1 << with->left;
  int32_t a = dsp_scale(centred_a * unit, with->a, 0, with->twice);
  int32_t b = dsp_scale(centred_b * unit, with->b, 0, with->twice);
  int32_t sum = with->sign > 0 ? a + b : a - b;
  int32_t result = dsp_saturate8(dsp_scale(sum, with->out, with->zero_out, with->twice));
  if (with->minimum > -128) {
    result = result < with->minimum ? with->minimum : result;
  }
  if (with->maximum < 127) {
    result = result > with->maximum ? with->maximum : result;
  }
  return (int8_t)result;
}

/* `count` elements; `out` may lie on `a` or `b`. */
DSP_INLINE void dsp_add(const struct dsp_addition *with, int32_t count, const int8_t *a,
                        const int8_t *b, int8_t *out) {
  const int8_t *end = a + (count & ~3);
  while (a != end) {
    int32_t of_a = dsp_load4(a), of_b = dsp_load4(b);
    a += 4;
    b += 4;
    out[0] = dsp_add_element(with, dsp_byte_plus(with->zero_a, of_a, 0),
                             dsp_byte_plus(with->zero_b, of_b, 0));
    out[1] = dsp_add_element(with, dsp_byte_plus(with->zero_a, of_a, 8),
                             dsp_byte_plus(with->zero_b, of_b, 8));
    out[2] = dsp_add_element(with, dsp_byte_plus(with->zero_a, of_a, 16),
                             dsp_byte_plus(with->zero_b, of_b, 16));
    out[3] = dsp_add_element(with, dsp_byte_plus(with->zero_a, of_a, 24),
                             dsp_byte_plus(with->zero_b, of_b, 24));
    out += 4;
  }
  for (int32_t i = 0; i < (count & 3); ++i) {
    out[i] = dsp_add_element(with, with->zero_a + a[i], with->zero_b + b[i]);
  }
}
