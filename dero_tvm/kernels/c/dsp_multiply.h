/*
 * Products of two int8 operands, on cores with the DSP extension.
 */
#pragma once
#include <stdint.h>
#include "dsp_scale.h"

/* The arithmetic of a multiplication, all of it literals in the calls of dsp_multiply. */
struct dsp_multiplication {
  int32_t zero_a, zero_b, zero_out; /* the first two negated */
  struct dsp_factor factor;
  int32_t twice;
  int32_t minimum, maximum;
};

/* The result of the product of two values without their zero points. */
DSP_INLINE int8_t dsp_multiplied(const struct dsp_multiplication *with, int32_t product) {
  int32_t scaled = dsp_scale(product, with->factor, with->zero_out, with->twice);
  int32_t result = dsp_saturate8(scaled);
  if (with->minimum > -128) {
    result = result < with->minimum ? with->minimum : result;
  }
  if (with->maximum < 127) {
    result = result > with->maximum ? with->maximum : result;
  }
  return (int8_t)result;
}

/* `count` elements; `out` may lie on `a` or `b`. */
DSP_INLINE void dsp_multiply(const struct dsp_multiplication *with, int32_t count, const int8_t *a,
                             const int8_t *b, int8_t *out) {
  const int8_t *end = a + (count & ~3);
  int32_t offset_a = dsp_halves(with->zero_a, with->zero_a);
  int32_t offset_b = dsp_halves(with->zero_b, with->zero_b);
  while (a != end) {
    int32_t of_a = dsp_load4(a), of_b = dsp_load4(b);
    int32_t even_a = dsp_even_plus(offset_a, of_a), odd_a = dsp_odd_plus(offset_a, of_a);
    int32_t even_b = dsp_even_plus(offset_b, of_b), odd_b = dsp_odd_plus(offset_b, of_b);
    a += 4;
    b += 4;
    out[0] = dsp_multiplied(with, dsp_low(even_a) * dsp_low(even_b));
    out[1] = dsp_multiplied(with, dsp_low(odd_a) * dsp_low(odd_b));
    out[2] = dsp_multiplied(with, dsp_high(even_a) * dsp_high(even_b));
    out[3] = dsp_multiplied(with, dsp_high(odd_a) * dsp_high(odd_b));
    out += 4;
  }
  for (int32_t i = 0; i < (count & 3); ++i) {
    out[i] = dsp_multiplied(with, (with->zero_a + a[i]) * (with->zero_b + b[i]));
  }
}
