/*
 * Rows of products of two int8 matrices that are both computed, on Helium cores: 16 bytes of a row
 * of the left operand with as many of a row of the right one, zero points taken off the sums.
 */
#pragma once
#include <stdint.h>
#include "dsp_product.h"
#include "mve_vector.h"

/* What the bytes of a vector add up to. */
MVE_INLINE int32_t mve_bytes_sum(const int8_t *bytes, int32_t count) {
  int32_t sum = 0;
#if defined(__ARM_FEATURE_MVE)
  mve_keep_stores();
  for (int32_t k = 0; k < count; k += 16) {
    mve_pred16_t inside = vctp8q((uint32_t)(count - k));
    sum = vaddvaq_p_s8(sum, vldrbq_z_s8(bytes + k, inside), inside);
  }
  mve_keep_stores();
#else
  for (int32_t k = 0; k < count; ++k) {
    sum += bytes[k];
  }
#endif
  return sum;
}

/* The sum of the products of two vectors, and what the bytes of the second add up to. */
MVE_INLINE int32_t mve_products_sum(const int8_t *a, const int8_t *b, int32_t count,
                                    int32_t *sum_b) {
  int32_t products = 0, sum = 0;
#if defined(__ARM_FEATURE_MVE)
  mve_keep_stores();
  for (int32_t k = 0; k < count; k += 16) {
    mve_pred16_t inside = vctp8q((uint32_t)(count - k));
    int8x16_t of_a = vldrbq_z_s8(a + k, inside), of_b = vldrbq_z_s8(b + k, inside);
    products = vmladavaq_s8(products, of_a, of_b);
    sum = vaddvaq_s8(sum, of_b);
  }
  mve_keep_stores();
#else
  for (int32_t k = 0; k < count; ++k) {
    products += a[k] * b[k];
    sum += b[k];
  }
#endif
  *sum_b = sum;
  return products;
}

/* For every vector of the row `a`, what its bytes add to its sums of products. */
TVMGEN_HOT
static void mve_product_begin(const struct product *of, const int8_t *a, int32_t *begins) {
  for (int32_t p = 0; p < of->pixels; ++p) {
    for (int32_t h = 0; h < of->heads; ++h) {
      int32_t sum = mve_bytes_sum(a + p * of->a_pixel + h * of->a_head, of->depth);
      *begins++ = of->b_zero * (of->depth * of->a_zero - sum);
    }
  }
}

/* A result of every head of every pixel: `b` has what the left operand's vectors meet in it. */
TVMGEN_HOT
static void mve_product_column(const struct product *of, const int32_t *begins, const int8_t *a,
                               const int8_t *b, int8_t *out) {
  for (int32_t p = 0; p < of->pixels; ++p) {
    for (int32_t h = 0; h < of->heads; ++h) {
      int32_t sum_b;
      int32_t sum = mve_products_sum(a + p * of->a_pixel + h * of->a_head, b + h * of->b_head,
                                     of->depth, &sum_b);
      sum += *begins++ - of->a_zero * sum_b;
      out[p * of->out_pixel + h * of->out_head] = dsp_product_result(of, sum);
    }
  }
}
