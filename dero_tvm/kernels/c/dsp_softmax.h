/*
 * Softmax of int8 data with the bits of LiteRT's fixed-point arithmetic, from a table of
 * exponentials.  A number Qm.n has m integer and n fractional bits besides the sign.
 */
#pragma once
#include <stdint.h>
#include "arm_dsp.h"

/* The product of two numbers with 31 fractional bits, rounded to nearest, ties upwards. */
DSP_INLINE int32_t dsp_product31(int32_t a, int32_t b) {
  return (int32_t)(((int64_t)a * b + (INT64_C(1) << 30)) >> 31);
}

/* value / 2^bits, rounded to nearest, ties upwards; value >= 0, 1 <= bits <= 31. */
DSP_INLINE int32_t dsp_shift_rounded(int32_t value, int32_t bits) {
  return (int32_t)(((uint32_t)value + (1u << (bits - 1))) >> bits);
}

/*
 * 1 / sum in Q0.31 times 2^exponent, of a sum in Q12.19 of at least 1.
 *
 * Doubled until it lies in [2^30, 2^31), the sum stands for 1 + x with x in [0, 1), and Newton's
 * method for the inverse of half = (1 + x) / 2 starts from the line 48/17 - 32/17 * half.
 */
TVMGEN_HOT
DSP_NOINLINE static int32_t dsp_reciprocal(int32_t sum, int32_t *exponent) {
  int32_t half = sum;
  *exponent = 34;
  while (half < 1 << 30) {
    half *= 2;
    *exponent -= 1;
  }
  int32_t inverse = dsp_product31(half, -1010580540) + 1515870810; /* Q2.29 */
  for (int32_t step = 0; step < 3; ++step) {
    int32_t error = (1 << 29) - dsp_product31(half, inverse);
    inverse += dsp_product31(inverse, error) * 4;
  }
  return inverse >= 1 << 30 ? INT32_MAX : inverse * 2;
}

/*
 * One pixel.  `exponentials` has exp(-d) in Q0.31 of differences d from the greatest element;
 * from d = `count` on they count as zero.  `out` may lie on `data`.
 */
DSP_INLINE void dsp_softmax(const int32_t *exponentials, int32_t count, int32_t channels,
                            const int8_t *data, int8_t *out) {
  int32_t greatest = -128, sum = 0, exponent;
  for (int32_t channel = 0; channel < channels; ++channel) {
    greatest = data[channel] > greatest ? data[channel] : greatest;
  }
  for (int32_t channel = 0; channel < channels; ++channel) {
    int32_t difference = greatest - data[channel];
    if (difference < count) {
      sum += dsp_shift_rounded(exponentials[difference], 12);
    }
  }
  int32_t reciprocal = dsp_reciprocal(sum, &exponent);
  for (int32_t channel = 0; channel < channels; ++channel) {
    int32_t difference = greatest - data[channel], result = -128;
    if (difference < count && exponent <= 31) { /* with a greater one, all results are below 1/2 */
      int32_t share = dsp_product31(reciprocal, exponentials[difference]);
      result += dsp_shift_rounded(share, exponent);
    }
    out[channel] = (int8_t)(result > 127 ? 127 : result);
  }
}
