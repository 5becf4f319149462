/* float32 numbers in the arena, a fused multiply-add, and the limits of an activation. */
#pragma once
#include <math.h>
#include <stdint.h>

/* The arena holds tensors of different types one after the other in the same bytes. */
#if defined(__GNUC__)
typedef float arena_float __attribute__((may_alias));
#else
typedef float arena_float;
#endif

/* a * b + c, rounded once on cores that can.  clang takes fmaf for a function that may set errno,
 * and calls it. */
static inline float fused(float a, float b, float c) {
#if defined(__clang__)
#pragma clang fp contract(fast)
  return a * b + c;
#else
  return fmaf(a, b, c);
#endif
}

/* A bound that is absent leaves not-a-number alone. */
struct limits {
  int32_t has_minimum, has_maximum;
  float minimum, maximum;
};

static inline float limited(float value, struct limits to) {
  if (to.has_minimum) {
    value = value > to.minimum ? value : to.minimum;
  }
  if (to.has_maximum) {
    value = value < to.maximum ? value : to.maximum;
  }
  return value;
}
