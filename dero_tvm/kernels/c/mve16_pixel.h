/*
 * All filters of one pixel, int16 data with int8 weights, on cores with Helium: eight numbers meet
 * eight weights of each of four filters, which lie one after the other.
 */
#pragma once
#include <stdint.h>
#include <string.h>
#include "int16_pixel.h"
#include "mve_vector.h"

/* sums += the products of eight numbers. */
MVE_INLINE void mve16_add_products(struct sums *sums, const int8_t *data, const int32_t *words) {
#if defined(__ARM_FEATURE_MVE)
  const int8_t *weight = (const int8_t *)words;
  int16x8_t x = vldrhq_s16((const int16_t *)data);
  sums->a = vmladavaq_s16(sums->a, x, vldrbq_s16(weight));
  sums->b = vmladavaq_s16(sums->b, x, vldrbq_s16(weight + 8));
  sums->c = vmladavaq_s16(sums->c, x, vldrbq_s16(weight + 16));
  sums->d = vmladavaq_s16(sums->d, x, vldrbq_s16(weight + 24));
#else
  int16_t x[8];
  int8_t weight[32];
  (void)memcpy(x, data, sizeof x);
  (void)memcpy(weight, words, sizeof weight);
  for (int32_t i = 0; i < 8; ++i) {
    sums->a += x[i] * weight[i];
    sums->b += x[i] * weight[8 + i];
    sums->c += x[i] * weight[16 + i];
    sums->d += x[i] * weight[24 + i];
  }
#endif
}

MVE_INLINE void mve16_add(struct sums *sums, const int8_t *data, int32_t count,
                          const int32_t *words) {
  for (; count > 0; count -= 8, data += 16, words += 8) {
    mve16_add_products(sums, data, words);
  }
}

/* An `int16_pixel` (see int16_conv2d.h). */
MVE_FUNCTION void mve16_pixel(const struct window *w, const int8_t *const *segments, int32_t count,
                              int32_t start, int32_t length, const int32_t *weight,
                              int32_t segment_words, int32_t filter_words,
                              const struct requantization *to, int8_t *out) {
#if defined(__ARM_FEATURE_MVE)
  mve_keep_stores();
#endif
  int16_narrow_pixel(w, segments, count, start, length, weight, segment_words, filter_words, to,
                     out, mve16_add);
}
