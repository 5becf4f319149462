/*
 * Depthwise convolutions, eight channels at a time.
 *
 * Products of int8 fit int16, and so do sums of a few of them, as many as the weights allow.  Such
 * sums are added up in int32, those of channels 0, 2, 4, 6 in one vector and of 1, 3, 5, 7 in
 * another.  Weights and factors of eight channels lie together.
 */
#pragma once
#include <stdint.h>
#include "mve_requantize.h"
#include "mve_vector.h"

typedef struct {
  mve_int32x4 even, odd;
} mve_sums;

MVE_INLINE mve_sums mve_load_sums(const int32_t *values) {
  const mve_sums sums = {mve_load(values), mve_load(values + 4)};
  return sums;
}

MVE_INLINE void mve_save_sums(int32_t *values, mve_sums sums) {
#if defined(__ARM_FEATURE_MVE)
  vstrwq_s32(values, sums.even);
  vstrwq_s32(values + 4, sums.odd);
#else
  (void)memcpy(values, &sums, sizeof sums);
#endif
}

/* data * weights of one tap; both move on, data by `step` bytes. */
MVE_INLINE mve_int16x8 mve_tap(const int8_t **data, int32_t step, const int8_t **weights) {
#if defined(__ARM_FEATURE_MVE)
  mve_int16x8 product, w;
  __asm__ volatile(
      "vldrb.s16 %q[p], [%[data]]\n\t"
      "vldrb.s16 %q[v], [%[w]], #8\n\t"
      "vmul.i16 %q[p], %q[p], %q[v]\n\t"
      "add %[data], %[data], %[step]"
      : [p] "=&w"(product), [v] "=&w"(w), [data] "+&l"(*data), [w] "+&l"(*weights)
      : [step] "rI"(step)
      : "memory");
  return product;
#else
  mve_int16x8 product;
  for (int32_t i = 0; i < 8; ++i) {
    product.lane[i] = (int16_t)((*data)[i] * (*weights)[i]);
  }
  *data += step;
  *weights += 8;
  return product;
#endif
}

/* products + data * weights of one tap */
MVE_INLINE mve_int16x8 mve_add_tap(mve_int16x8 products, const int8_t **data, int32_t step,
                                   const int8_t **weights) {
#if defined(__ARM_FEATURE_MVE)
  mve_int16x8 x, w;
  __asm__ volatile(
      "vldrb.s16 %q[x], [%[data]]\n\t"
      "vldrb.s16 %q[v], [%[w]], #8\n\t"
      "vmul.i16 %q[x], %q[x], %q[v]\n\t"
      "add %[data], %[data], %[step]\n\t"
      "vadd.i16 %q[p], %q[p], %q[x]"
      : [p] "+&w"(products), [x] "=&w"(x), [v] "=&w"(w), [data] "+&l"(*data), [w] "+&l"(*weights)
      : [step] "rI"(step)
      : "memory");
  return products;
#else
  const mve_int16x8 next = mve_tap(data, step, weights);
  for (int32_t i = 0; i < 8; ++i) {
    products.lane[i] = (int16_t)(products.lane[i] + next.lane[i]);
  }
  return products;
#endif
}

/* data * weights of one tap; the weights move on.  Of taps whose distance is in the instruction. */
MVE_INLINE mve_int16x8 mve_tap_at(const int8_t *data, const int8_t **weights) {
#if defined(__ARM_FEATURE_MVE)
  mve_int16x8 product = vldrbq_s16(data), w;
  __asm__ volatile(
      "vldrb.s16 %q[v], [%[w]], #8\n\t"
      "vmul.i16 %q[p], %q[p], %q[v]"
      : [p] "+&w"(product), [v] "=&w"(w), [w] "+&l"(*weights)
      :
      : "memory");
  return product;
#else
  return mve_tap(&data, 0, weights);
#endif
}

/* products + data * weights of one tap */
MVE_INLINE mve_int16x8 mve_add_tap_at(mve_int16x8 products, const int8_t *data,
                                      const int8_t **weights) {
#if defined(__ARM_FEATURE_MVE)
  mve_int16x8 x = vldrbq_s16(data), w;
  __asm__ volatile(
      "vldrb.s16 %q[v], [%[w]], #8\n\t"
      "vmul.i16 %q[x], %q[x], %q[v]\n\t"
      "vadd.i16 %q[p], %q[p], %q[x]"
      : [p] "+&w"(products), [x] "+&w"(x), [v] "=&w"(w), [w] "+&l"(*weights)
      :
      : "memory");
  return products;
#else
  return mve_add_tap(products, &data, 0, weights);
#endif
}

MVE_INLINE mve_int16x8 mve_no_products(void) {
#if defined(__ARM_FEATURE_MVE)
  return vdupq_n_s16(0);
#else
  const mve_int16x8 none = {{0}};
  return none;
#endif
}

/* sums + products */
MVE_INLINE mve_sums mve_widen(mve_sums sums, mve_int16x8 products) {
#if defined(__ARM_FEATURE_MVE)
  mve_int32x4 wide;
  __asm__ volatile(
      "vmovlb.s16 %q[wide], %q[p]\n\t"
      "vadd.i32 %q[even], %q[even], %q[wide]\n\t"
      "vmovlt.s16 %q[wide], %q[p]\n\t"
      "vadd.i32 %q[odd], %q[odd], %q[wide]"
      : [even] "+&w"(sums.even), [odd] "+&w"(sums.odd), [wide] "=&w"(wide)
      : [p] "w"(products));
#else
  for (int32_t i = 0; i < 4; ++i) {
    sums.even.lane[i] += products.lane[2 * i];
    sums.odd.lane[i] += products.lane[2 * i + 1];
  }
#endif
  return sums;
}

/*
 * MVE_NEXT_TWO adds `products` to the sums while it makes those of the next two taps, at a + a_at
 * and b + b_at: a core issues one of these instructions in each cycle, but none that waits for the
 * one before.  The distances are literals in [-127, 127]; MVE_NEXT_ONE is of a single tap.
 */
#if defined(__ARM_FEATURE_MVE)
#define MVE_NEXT_TWO(sums, products, a, a_at, b, b_at, weights)                                \
  do {                                                                                         \
    mve_int16x8 next_, weight_, wide_;                                                         \
    __asm__ volatile(                                                                          \
        "vldrb.s16 %q[x], [%[at0], %[by0]]\n\t"                                                \
        "vmovlb.s16 %q[t], %q[p]\n\t"                                                          \
        "vldrb.s16 %q[v], [%[w]], #8\n\t"                                                      \
        "vmovlt.s16 %q[p], %q[p]\n\t"                                                          \
        "vadd.i32 %q[even], %q[even], %q[t]\n\t"                                               \
        "vmul.i16 %q[x], %q[x], %q[v]\n\t"                                                     \
        "vldrb.s16 %q[v], [%[w]], #8\n\t"                                                      \
        "vadd.i32 %q[odd], %q[odd], %q[p]\n\t"                                                 \
        "vldrb.s16 %q[t], [%[at1], %[by1]]\n\t"                                                \
        "vmul.i16 %q[p], %q[t], %q[v]\n\t"                                                     \
        "vadd.i16 %q[p], %q[p], %q[x]"                                                         \
        : [even] "+&w"((sums).even), [odd] "+&w"((sums).odd), [p] "+&w"(products),             \
          [x] "=&w"(next_), [v] "=&w"(weight_), [t] "=&w"(wide_), [w] "+&l"(weights)           \
        : [at0] "l"(a), [by0] "i"(a_at), [at1] "l"(b), [by1] "i"(b_at)                         \
        : "memory");                                                                           \
  } while (0)
#define MVE_NEXT_ONE(sums, products, a, a_at, weights)                                         \
  do {                                                                                         \
    mve_int16x8 weight_, wide_;                                                                \
    __asm__ volatile(                                                                          \
        "vmovlb.s16 %q[t], %q[p]\n\t"                                                          \
        "vldrb.s16 %q[v], [%[w]], #8\n\t"                                                      \
        "vmovlt.s16 %q[p], %q[p]\n\t"                                                          \
        "vadd.i32 %q[even], %q[even], %q[t]\n\t"                                               \
        "vldrb.s16 %q[t], [%[at0], %[by0]]\n\t"                                                \
        "vadd.i32 %q[odd], %q[odd], %q[p]\n\t"                                                 \
        "vmul.i16 %q[p], %q[t], %q[v]"                                                         \
        : [even] "+&w"((sums).even), [odd] "+&w"((sums).odd), [p] "+&w"(products),             \
          [v] "=&w"(weight_), [t] "=&w"(wide_), [w] "+&l"(weights)                             \
        : [at0] "l"(a), [by0] "i"(a_at)                                                        \
        : "memory");                                                                           \
  } while (0)
#else
#define MVE_NEXT_ONE(sums, products, a, a_at, weights)        \
  ((sums) = mve_widen((sums), (products)), \
   (products) = mve_tap_at((a) + (a_at), &(weights)))
#define MVE_NEXT_TWO(sums, products, a, a_at, b, b_at, weights)  \
  (MVE_NEXT_ONE(sums, products, a, a_at, weights),              \
   (products) = mve_add_tap_at((products), (b) + (b_at), &(weights)))
#endif

/* sums + the products of `count` taps of a row, of which `group` make a sum that fits int16 */
MVE_INLINE mve_sums mve_add_taps(mve_sums sums, const int8_t *data, int32_t step,
                                 const int8_t *weights, int32_t count, int32_t group) {
  for (; count >= group; count -= group) {
    mve_int16x8 products = mve_tap(&data, step, &weights);
    for (int32_t i = 1; i < group; ++i) {
      products = mve_add_tap(products, &data, step, &weights);
    }
    sums = mve_widen(sums, products);
  }
  for (; count > 0; --count) {
    sums = mve_widen(sums, mve_tap(&data, step, &weights));
  }
  return sums;
}

/* sums + factor * the weights of `columns` taps of each of `rows` rows, `next` bytes apart */
MVE_INLINE mve_sums mve_add_weights(mve_sums sums, int32_t factor, const int8_t *weights,
                                    int32_t rows, int32_t next, int32_t columns) {
#if defined(__ARM_FEATURE_MVE)
  mve_int16x8 total = vdupq_n_s16(0);
  for (; rows > 0; --rows, weights += next) {
    for (int32_t i = 0; i < columns; ++i) {
      total = vaddq_s16(total, vldrbq_s16(weights + 8 * i));
    }
  }
  sums.even = vmlaq_n_s32(sums.even, vmovlbq_s16(total), factor);
  sums.odd = vmlaq_n_s32(sums.odd, vmovltq_s16(total), factor);
#else
  for (; rows > 0; --rows, weights += next) {
    for (int32_t i = 0; i < 8 * columns; i += 2) {
      sums.even.lane[i % 8 / 2] += factor * weights[i];
      sums.odd.lane[i % 8 / 2] += factor * weights[i + 1];
    }
  }
#endif
  return sums;
}

/* The biased sums with factor * the weights of some taps, for where few results come by. */
MVE_FUNCTION void mve_bias(int32_t *sums, const int32_t *bias, int32_t factor,
                           const int8_t *weights, int32_t rows, int32_t next, int32_t columns) {
  mve_save_sums(sums, mve_add_weights(mve_load_sums(bias), factor, weights, rows, next, columns));
}

/* Adds the products of `columns` taps of a row, for where few results come by. */
MVE_FUNCTION void mve_add_columns(int32_t *sums, const int8_t *data, int32_t step,
                                  const int8_t *weights, int32_t columns) {
  mve_save_sums(sums, mve_add_taps(mve_load_sums(sums), data, step, weights, columns, 1));
}

/* Stores sums + offset, limited to [low, high]. */
MVE_INLINE void mve_store_sums(int8_t *out, mve_sums sums, int32_t offset, int32_t low,
                               int32_t high) {
#if defined(__ARM_FEATURE_MVE)
  int16x8_t narrow = vqmovnbq_s32(vreinterpretq_s16_s32(sums.even), sums.even);
  narrow = vqaddq_n_s16(vqmovntq_s32(narrow, sums.odd), (int16_t)offset);
  narrow = vmaxq_s16(narrow, vdupq_n_s16((int16_t)low));
  narrow = vminq_s16(narrow, vdupq_n_s16((int16_t)high));
  mve_keep_stores();
  vstrbq_s16(out, narrow);
  mve_keep_stores();
#else
  for (int32_t i = 0; i < 8; ++i) {
    const int32_t sum = i % 2 ? sums.odd.lane[i / 2] : sums.even.lane[i / 2];
    const int64_t value = (int64_t)sum + offset;
    out[i] = (int8_t)(value < low ? low : value > high ? high : value);
  }
#endif
}
