/*
 * Instructions of cores with the DSP extension, and what they compute on any other machine.
 * A word holds two signed halves or four signed bytes, the first in the low bits.
 */
#pragma once
#include <stdint.h>
#include <string.h>
#include "hot.h"

#if defined(__GNUC__)
#define DSP_INLINE __attribute__((always_inline, unused)) static inline
#define DSP_SHARED TVMGEN_HOT __attribute__((unused)) static /* inline only where that is shorter */
#define DSP_NOINLINE __attribute__((noinline, unused))
#else
#define DSP_INLINE static inline
#define DSP_SHARED TVMGEN_HOT static inline
#define DSP_NOINLINE
#endif

/* gcc's scheduler moves loads of inner loops apart, and runs out of registers for what is between. */
#if defined(__GNUC__) && !defined(__clang__)
#define DSP_LOOPS \
  __attribute__((optimize("no-schedule-insns", "no-schedule-insns2", "no-ivopts")))
#else
#define DSP_LOOPS
#endif

/* Has a value in a register here, so that the compiler neither loads it again nor puts it off. */
#if defined(__GNUC__)
#define DSP_IN_REGISTER(value) __asm__("" : "+r"(value))
#define DSP_BOTH_IN_REGISTERS(a, b) __asm__("" : : "r"(a), "r"(b))
#else
#define DSP_IN_REGISTER(value) (void)(value)
#define DSP_BOTH_IN_REGISTERS(a, b) (void)0
#endif

/* Has values loaded one behind another, which saves cycles on a core with one pipe. */
#if defined(__GNUC__) && defined(DSP_ONE_PIPE)
#define DSP_SIX_TOGETHER(a, b, c, d, e, f) \
  __asm__("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e), "+r"(f))
#else
#define DSP_SIX_TOGETHER(a, b, c, d, e, f) (void)0
#endif

#if defined(__ARM_FEATURE_DSP) && defined(__GNUC__)
#include <arm_acle.h>
#define DSP_NATIVE 1
#else
#define DSP_NATIVE 0
#endif

/* The four bytes at any address. */
DSP_INLINE int32_t dsp_load4(const int8_t *bytes) {
  int32_t word;
  (void)memcpy(&word, bytes, 4);
  return word;
}

/* A number to which half of 2^shift was added, divided by 2^shift: the nearest, ties to even. */
DSP_INLINE int32_t dsp_to_even(int64_t nudged, int32_t shift) {
  int32_t up = (int32_t)(nudged >> shift);
  int32_t tie = !(nudged & ((INT64_C(1) << shift) - 1));
  return up - (tie & up);
}

DSP_INLINE int32_t dsp_low(int32_t word) {
  return (int16_t)((uint32_t)word & 0xffffu);
}

DSP_INLINE int32_t dsp_high(int32_t word) {
  return (int16_t)((uint32_t)word >> 16);
}

DSP_INLINE int32_t dsp_halves(int32_t low, int32_t high) {
  return (int32_t)(((uint32_t)low & 0xffffu) | ((uint32_t)high << 16));
}

/* Bytes 0 and 2 as halves. */
DSP_INLINE int32_t dsp_even(int32_t word) {
#if DSP_NATIVE
  return __sxtb16(word);
#else
  return dsp_halves((int8_t)((uint32_t)word & 0xffu), (int8_t)((uint32_t)word >> 16 & 0xffu));
#endif
}

/* Bytes 1 and 3 as halves. */
DSP_INLINE int32_t dsp_odd(int32_t word) {
#if DSP_NATIVE
  int32_t halves;
  __asm__("sxtb16 %0, %1, ror #8" : "=r"(halves) : "r"(word));
  return halves;
#else
  return dsp_even((int32_t)((uint32_t)word >> 8));
#endif
}

/* Bytes 0 and 2 as halves, each added to a half of `offset`. */
DSP_INLINE int32_t dsp_even_plus(int32_t offset, int32_t word) {
#if DSP_NATIVE
  return __sxtab16(offset, word);
#else
  int32_t halves = dsp_even(word);
  return dsp_halves(dsp_low(offset) + dsp_low(halves), dsp_high(offset) + dsp_high(halves));
#endif
}

/* Bytes 1 and 3 as halves, each added to a half of `offset`. */
DSP_INLINE int32_t dsp_odd_plus(int32_t offset, int32_t word) {
#if DSP_NATIVE
  int32_t halves;
  __asm__("sxtab16 %0, %1, %2, ror #8" : "=r"(halves) : "r"(offset), "r"(word));
  return halves;
#else
  return dsp_even_plus(offset, (int32_t)((uint32_t)word >> 8));
#endif
}

/* The byte of a word that begins at bit `from`, added to `offset`. */
DSP_INLINE int32_t dsp_byte_plus(int32_t offset, int32_t word, int32_t from) {
  return offset + (int8_t)((uint32_t)word >> from & 0xffu);
}

/* sum + the products of low with low and high with high half, modulo 2^32. */
DSP_INLINE int32_t dsp_dual_multiply_add(int32_t a, int32_t b, int32_t sum) {
#if DSP_NATIVE
  return __smlad(a, b, sum);
#else
  uint32_t low = (uint32_t)(dsp_low(a) * dsp_low(b));
  uint32_t high = (uint32_t)(dsp_high(a) * dsp_high(b));
  return (int32_t)((uint32_t)sum + low + high);
#endif
}

/* sum + the product of the low halves, or of the high halves. */
DSP_INLINE int32_t dsp_low_multiply_add(int32_t a, int32_t b, int32_t sum) {
#if DSP_NATIVE
  return __smlabb(a, b, sum);
#else
  return (int32_t)((uint32_t)sum + (uint32_t)(dsp_low(a) * dsp_low(b)));
#endif
}

DSP_INLINE int32_t dsp_high_multiply_add(int32_t a, int32_t b, int32_t sum) {
#if DSP_NATIVE
  return __smlatt(a, b, sum);
#else
  return (int32_t)((uint32_t)sum + (uint32_t)(dsp_high(a) * dsp_high(b)));
#endif
}

/* The low halves of two words. */
DSP_INLINE int32_t dsp_low_halves(int32_t low, int32_t high) {
#if DSP_NATIVE
  int32_t halves;
  __asm__("pkhbt %0, %1, %2, lsl #16" : "=r"(halves) : "r"(low), "r"(high));
  return halves;
#else
  return dsp_halves(low, high);
#endif
}

/* The high halves of two words. */
DSP_INLINE int32_t dsp_high_halves(int32_t low, int32_t high) {
#if DSP_NATIVE
  int32_t halves;
  __asm__("pkhtb %0, %1, %2, asr #16" : "=r"(halves) : "r"(high), "r"(low));
  return halves;
#else
  return (int32_t)(((uint32_t)low >> 16) | ((uint32_t)high & 0xffff0000u));
#endif
}

/* The high word of the product a * b. */
DSP_INLINE int32_t dsp_high_product(int32_t a, int32_t b) {
  return (int32_t)((int64_t)a * b >> 32);
}

/* sum + the high word of the product a * b. */
DSP_INLINE int32_t dsp_high_product_plus(int32_t sum, int32_t a, int32_t b) {
#if DSP_NATIVE
  int32_t product;
  __asm__("smmla %0, %1, %2, %3" : "=r"(product) : "r"(a), "r"(b), "r"(sum));
  return product;
#else
  return (int32_t)((uint32_t)sum + (uint32_t)(int32_t)((int64_t)a * b >> 32));
#endif
}

/* The high word of a * b, rounded to nearest, ties upwards. */
DSP_INLINE int32_t dsp_high_product_rounded(int32_t a, int32_t b) {
#if DSP_NATIVE
  int32_t product;
  __asm__("smmulr %0, %1, %2" : "=r"(product) : "r"(a), "r"(b));
  return product;
#else
  return (int32_t)(((int64_t)a * b + INT64_C(0x80000000)) >> 32);
#endif
}

/* The high word of -a * b. */
DSP_INLINE int32_t dsp_high_difference(int32_t a, int32_t b) {
#if DSP_NATIVE
  int32_t difference;
  __asm__("smmls %0, %1, %2, %3" : "=r"(difference) : "r"(a), "r"(b), "r"(0));
  return difference;
#else
  return (int32_t)(-((int64_t)a * b) >> 32);
#endif
}

/* The high word of -a * b, rounded to nearest, ties upwards. */
DSP_INLINE int32_t dsp_high_difference_rounded(int32_t a, int32_t b) {
#if DSP_NATIVE
  int32_t difference;
  __asm__("smmlsr %0, %1, %2, %3" : "=r"(difference) : "r"(a), "r"(b), "r"(0));
  return difference;
#else
  return (int32_t)((INT64_C(0x80000000) - (int64_t)a * b) >> 32);
#endif
}

#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion" /* inside of gcc's __ssat */
#endif
/* The value in [-128, 127] that lies nearest. */
DSP_INLINE int32_t dsp_saturate8(int32_t value) {
#if DSP_NATIVE
  return __ssat(value, 8);
#else
  return value < -128 ? -128 : value > 127 ? 127 : value;
#endif
}
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif
