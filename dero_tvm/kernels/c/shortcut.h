/* What the kernels of convolutions with a shortcut have in common: see kernels/shortcut.py. */
#pragma once
#include <stdint.h>
#include "arm_dsp.h"

/* Of int8 rows, from each byte `begin` to `end` in steps of `step`: the sum of what is there. */
DSP_INLINE int32_t shortcut_window(const int8_t *const *rows, int32_t tall, int32_t begin,
                                   int32_t end, int32_t step) {
  int32_t sum = 0;
  for (int32_t i = 0; i < tall; ++i) {
    for (int32_t at = begin; at < end; at += step) {
      sum += rows[i][at];
    }
  }
  return sum;
}

DSP_INLINE int32_t shortcut_clamped(int32_t value, int32_t minimum, int32_t maximum) {
  value = value < minimum ? minimum : value;
  return value > maximum ? maximum : value;
}
