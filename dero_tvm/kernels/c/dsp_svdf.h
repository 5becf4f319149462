/*
 * Filters of rank one over time, on cores with the DSP extension: bytes of data with two filters at
 * a time, and two or four remembered values at a time.
 */
#pragma once
#include <stdint.h>
#include "requantize.h"

struct svdf {
  int32_t count;            /* of filters, or of units */
  int32_t length;           /* of a filter's weights, or of what a unit adds up */
  int32_t memory;           /* values that a filter remembers */
  int32_t added;            /* the state's zero point, which wraps around */
  int32_t minimum, maximum; /* before it is added */
  struct requantization to; /* for ROUND_ANY_TWICE */
};

DSP_INLINE int32_t dsp_svdf_value(int32_t sum, const struct svdf *of) {
  int32_t value = requantize_any(sum, &of->to, ROUND_ANY_TWICE);
  value = value < of->minimum ? of->minimum : value;
  return (value > of->maximum ? of->maximum : value) + of->added;
}

/* Sums of products of bytes with two rows of weights, added to `sum_a` and `sum_b`. */
DSP_INLINE void dsp_svdf_dot(const int8_t *x, const int8_t *a, const int8_t *b, int32_t length,
                             int32_t *sum_a, int32_t *sum_b) {
  int32_t of_a = *sum_a, of_b = *sum_b;
  const int8_t *end = x + (length & ~3);
  while (x != end) {
    int32_t word = dsp_load4(x), word_a = dsp_load4(a), word_b = dsp_load4(b);
    int32_t even = dsp_even(word), odd = dsp_odd(word);
    of_a = dsp_dual_multiply_add(even, dsp_even(word_a), of_a);
    of_a = dsp_dual_multiply_add(odd, dsp_odd(word_a), of_a);
    of_b = dsp_dual_multiply_add(even, dsp_even(word_b), of_b);
    of_b = dsp_dual_multiply_add(odd, dsp_odd(word_b), of_b);
    x += 4;
    a += 4;
    b += 4;
  }
  for (int32_t i = 0; i < (length & 3); ++i) {
    of_a += x[i] * a[i];
    of_b += x[i] * b[i];
  }
  *sum_a = of_a;
  *sum_b = of_b;
}

/* The sum of products of int16 numbers, added to `sum`. */
DSP_INLINE int32_t dsp_svdf_dot16(const int16_t *x, const int16_t *y, int32_t length, int32_t sum) {
  for (int32_t i = 0; i < length / 2; ++i) {
    sum = dsp_dual_multiply_add(dsp_load4((const int8_t *)(x + 2 * i)),
                                dsp_load4((const int8_t *)(y + 2 * i)), sum);
  }
  return length % 2 ? sum + x[length - 1] * y[length - 1] : sum;
}
