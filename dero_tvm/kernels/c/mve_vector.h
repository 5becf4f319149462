/*
 * Vectors of Helium, and what stands for them on a machine without: structs with which the kernels
 * compute the same bits, so that a host can run and test them.
 *
 * Inner loops are assembly of a few instructions: gcc 12 loads the vectors of one step while it
 * still computes the ones before, and then has too few registers for them.
 */
#pragma once
#include <stdint.h>
#include <string.h>
#include "hot.h"

#if defined(__ARM_FEATURE_MVE)
#include <arm_mve.h>
typedef int32x4_t mve_int32x4;
typedef int16x8_t mve_int16x8;
#else
typedef struct {
  int32_t lane[4];
} mve_int32x4;
typedef struct {
  int16_t lane[8];
} mve_int16x8;
#endif

#if defined(__GNUC__)
#define MVE_INLINE __attribute__((always_inline, unused)) static inline
#define MVE_FUNCTION TVMGEN_HOT __attribute__((noinline, unused)) static
#else
#define MVE_INLINE static inline
#define MVE_FUNCTION static
#endif

#if defined(__ARM_FEATURE_MVE)
/* Stands before and behind accesses under a mask, or of elements that are wider in the vector than
 * in memory.  gcc 12 takes the first for accesses of all lanes, and sees a part of the bytes of the
 * others, when it looks for stores that it can leave out. */
MVE_INLINE void mve_keep_stores(void) {
  __asm__ volatile("" : : : "memory");
}
#endif

MVE_INLINE mve_int32x4 mve_load(const int32_t *values) {
#if defined(__ARM_FEATURE_MVE)
  return vldrwq_s32(values);
#else
  mve_int32x4 vector;
  (void)memcpy(&vector, values, sizeof vector);
  return vector;
#endif
}

/* A vector of one number. */
MVE_INLINE mve_int32x4 mve_all(int32_t value) {
#if defined(__ARM_FEATURE_MVE)
  return vdupq_n_s32(value);
#else
  const mve_int32x4 vector = {{value, value, value, value}};
  return vector;
#endif
}

/* The same pointer, computed here: gcc would compute what is added to it ahead of the loop and keep
 * the sums on the stack, where the instructions can add. */
MVE_INLINE const int32_t *mve_here(const int32_t *pointer) {
#if defined(__ARM_FEATURE_MVE)
  __asm__ volatile("" : "+r"(pointer));
#endif
  return pointer;
}

/* The same of bytes, so that what is read around the place has its distance in the instruction. */
MVE_INLINE const int8_t *mve_place(const int8_t *bytes) {
#if defined(__ARM_FEATURE_MVE)
  __asm__ volatile("" : "+r"(bytes));
#endif
  return bytes;
}
