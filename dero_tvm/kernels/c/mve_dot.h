/*
 * Products of 16 data elements with the weights of four output channels.
 *
 * Weights lie in the order in which they are read: 16 of the first channel, 16 of the second, of
 * the third, of the fourth, then the next 16 of the first.  Zeros continue the last 16.
 */
#pragma once
#include <stdint.h>
#include "mve_vector.h"

#if defined(__ARM_FEATURE_MVE)
#define MVE_FOUR_CHANNELS(multiply)                                  \
  "vldrw.u32 %q[v], [%[w]], #16\n\t" multiply " %[a], %q[x], %q[v]\n\t" \
  "vldrw.u32 %q[v], [%[w]], #16\n\t" multiply " %[b], %q[x], %q[v]\n\t" \
  "vldrw.u32 %q[v], [%[w]], #16\n\t" multiply " %[c], %q[x], %q[v]\n\t" \
  "vldrw.u32 %q[v], [%[w]], #16\n\t" multiply " %[d], %q[x], %q[v]"
#else
MVE_INLINE void mve_dot_count(int32_t sums[4], const int8_t *data, const int32_t **weights,
                              int32_t count) {
  int8_t bytes[64];
  (void)memcpy(bytes, *weights, sizeof bytes);
  for (int32_t channel = 0; channel < 4; ++channel) {
    for (int32_t i = 0; i < count; ++i) {
      sums[channel] += data[i] * bytes[16 * channel + i];
    }
  }
  *weights += 16;
}
#endif

/* sums = products; data and weights move on. */
MVE_INLINE void mve_dot_start(int32_t sums[4], const int8_t **data, const int32_t **weights) {
#if defined(__ARM_FEATURE_MVE)
  int8x16_t x, v;
  __asm__ volatile("vldrb.u8 %q[x], [%[data]], #16\n\t" MVE_FOUR_CHANNELS("vmladav.s8")
                   : [a] "=&Te"(sums[0]), [b] "=&Te"(sums[1]), [c] "=&Te"(sums[2]),
                     [d] "=&Te"(sums[3]), [w] "+&r"(*weights), [data] "+&r"(*data), [x] "=&w"(x),
                     [v] "=&w"(v)
                   :
                   : "memory");
#else
  (void)memset(sums, 0, 4 * sizeof *sums);
  mve_dot_count(sums, *data, weights, 16);
  *data += 16;
#endif
}

/* sums += products; data and weights move on. */
MVE_INLINE void mve_dot(int32_t sums[4], const int8_t **data, const int32_t **weights) {
#if defined(__ARM_FEATURE_MVE)
  int8x16_t x, v;
  __asm__ volatile("vldrb.u8 %q[x], [%[data]], #16\n\t" MVE_FOUR_CHANNELS("vmladava.s8")
                   : [a] "+&Te"(sums[0]), [b] "+&Te"(sums[1]), [c] "+&Te"(sums[2]),
                     [d] "+&Te"(sums[3]), [w] "+&r"(*weights), [data] "+&r"(*data), [x] "=&w"(x),
                     [v] "=&w"(v)
                   :
                   : "memory");
#else
  mve_dot_count(sums, *data, weights, 16);
  *data += 16;
#endif
}

/* The last `count` < 16 elements: what is behind them is not read. */
MVE_INLINE void mve_dot_start_rest(int32_t sums[4], const int8_t *data, const int32_t **weights,
                                   int32_t count) {
#if defined(__ARM_FEATURE_MVE)
  mve_keep_stores();
  const int8x16_t x = vldrbq_z_s8(data, vctp8q((uint32_t)count));
  int8x16_t v;
  __asm__ volatile(MVE_FOUR_CHANNELS("vmladav.s8")
                   : [a] "=&Te"(sums[0]), [b] "=&Te"(sums[1]), [c] "=&Te"(sums[2]),
                     [d] "=&Te"(sums[3]), [w] "+&r"(*weights), [v] "=&w"(v)
                   : [x] "w"(x)
                   : "memory");
#else
  (void)memset(sums, 0, 4 * sizeof *sums);
  mve_dot_count(sums, data, weights, count);
#endif
}

MVE_INLINE void mve_dot_rest(int32_t sums[4], const int8_t *data, const int32_t **weights,
                             int32_t count) {
#if defined(__ARM_FEATURE_MVE)
  mve_keep_stores();
  const int8x16_t x = vldrbq_z_s8(data, vctp8q((uint32_t)count));
  int8x16_t v;
  __asm__ volatile(MVE_FOUR_CHANNELS("vmladava.s8")
                   : [a] "+&Te"(sums[0]), [b] "+&Te"(sums[1]), [c] "+&Te"(sums[2]),
                     [d] "+&Te"(sums[3]), [w] "+&r"(*weights), [v] "=&w"(v)
                   : [x] "w"(x)
                   : "memory");
#else
  mve_dot_count(sums, data, weights, count);
#endif
}

/* The sums as a vector. */
MVE_INLINE mve_int32x4 mve_join(const int32_t sums[4]) {
#if defined(__ARM_FEATURE_MVE)
  int32x4_t vector;
  __asm__("vmov %q[q][2], %q[q][0], %[a], %[c]\n\t"
          "vmov %q[q][3], %q[q][1], %[b], %[d]"
          : [q] "=&w"(vector)
          : [a] "r"(sums[0]), [b] "r"(sums[1]), [c] "r"(sums[2]), [d] "r"(sums[3]));
  return vector;
#else
  return mve_load(sums);
#endif
}
