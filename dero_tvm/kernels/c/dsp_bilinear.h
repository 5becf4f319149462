/*
 * Bilinear resizing of int8 images on cores with the DSP extension: four channels of one pixel.
 *
 * The upper and the lower pixel of a channel become the halves of a word, which one instruction
 * multiplies by the weights of both rows; two more multiply by the weights of the columns.
 */
#pragma once
#include <stdint.h>
#include "requantize.h"

enum bilinear { BILINEAR_LITERT, BILINEAR_SHIFT, BILINEAR_DIVIDE, BILINEAR_SCALE };

struct bilinear_result {
  int32_t zero; /* the zero point times the sum of the weights */
  int32_t one;  /* the sum of the weights; BILINEAR_LITERT, BILINEAR_SHIFT: its logarithm */
  int32_t even; /* ties go to even, not up */
  int32_t zero_point, minimum, maximum, rounding;
  struct requantization to;
};

/* The pixels around a place, and the weights of the rows (as halves) and of the columns. */
struct bilinear_place {
  const int8_t *top_left, *top_right, *bottom_left, *bottom_right;
  int32_t down, left, right;
};

DSP_INLINE int8_t bilinear_result(enum bilinear kind, const struct bilinear_result *r,
                                  int32_t total) {
  if (kind == BILINEAR_LITERT) {
    return (int8_t)((total + (1 << (r->one - 1)) + (total >> 31)) >> r->one);
  }
  total -= r->zero;
  int32_t result;
  if (kind == BILINEAR_SCALE) {
    result = requantize_any(total, &r->to, r->rounding);
  } else if (kind == BILINEAR_SHIFT) {
    const int32_t nudged = total + (1 << r->one >> 1);
    result = nudged >> r->one;
    result -= (nudged & ((1 << r->one) - 1)) == 0 ? result & r->even : 0;
  } else {
    const int32_t nudged = total + r->one / 2 + 256 * r->one;
    const int32_t quotient = (int32_t)((uint32_t)nudged / (uint32_t)r->one);
    result = quotient - 256;
    result -= quotient * r->one == nudged ? result & r->even : 0;
  }
  result += r->zero_point;
  if (r->minimum == -128 && r->maximum == 127) {
    return (int8_t)dsp_saturate8(result);
  }
  result = result < r->minimum ? r->minimum : result;
  return (int8_t)(result > r->maximum ? r->maximum : result);
}

DSP_INLINE int32_t bilinear_sum(const struct bilinear_place *p, int32_t before, int32_t after) {
  return dsp_dual_multiply_add(before, p->down, 0) * p->left +
         dsp_dual_multiply_add(after, p->down, 0) * p->right;
}

DSP_INLINE void dsp_bilinear_pixel(enum bilinear kind, const struct bilinear_result *r,
                                   struct bilinear_place p, int32_t channels, int8_t *out) {
  for (; channels >= 4; channels -= 4) {
    const int32_t a = dsp_load4(p.top_left), b = dsp_load4(p.bottom_left);
    const int32_t c = dsp_load4(p.top_right), d = dsp_load4(p.bottom_right);
    const int32_t a_even = dsp_even(a), b_even = dsp_even(b);
    const int32_t c_even = dsp_even(c), d_even = dsp_even(d);
    const int32_t a_odd = dsp_odd(a), b_odd = dsp_odd(b), c_odd = dsp_odd(c), d_odd = dsp_odd(d);
    out[0] = bilinear_result(kind, r, bilinear_sum(&p, dsp_low_halves(a_even, b_even),
                                                   dsp_low_halves(c_even, d_even)));
    out[1] = bilinear_result(kind, r, bilinear_sum(&p, dsp_low_halves(a_odd, b_odd),
                                                   dsp_low_halves(c_odd, d_odd)));
    out[2] = bilinear_result(kind, r, bilinear_sum(&p, dsp_high_halves(a_even, b_even),
                                                   dsp_high_halves(c_even, d_even)));
    out[3] = bilinear_result(kind, r, bilinear_sum(&p, dsp_high_halves(a_odd, b_odd),
                                                   dsp_high_halves(c_odd, d_odd)));
    p.top_left += 4, p.top_right += 4, p.bottom_left += 4, p.bottom_right += 4;
    out += 4;
  }
  for (; channels > 0; --channels) {
    *out++ = bilinear_result(
        kind, r, bilinear_sum(&p, dsp_halves(*p.top_left++, *p.bottom_left++),
                              dsp_halves(*p.top_right++, *p.bottom_right++)));
  }
}
