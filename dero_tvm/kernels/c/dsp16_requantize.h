/* From int32 sums to int16 results, with the bits of the portable kernels; see requantize.h. */
#pragma once
#include <stdint.h>
#include <string.h>
#include "requantize.h"
#include "window.h"

/* The results of four sums, or of the first `count` ones if there are less. */
TVMGEN_HOT
DSP_NOINLINE static void requantize16(const struct sums *sums, int32_t count,
                                      const struct requantization *to, const struct window *w,
                                      int8_t *out) {
  int32_t each[4] = {sums->a, sums->b, sums->c, sums->d};
  for (int32_t i = 0; i < 4 && i < count; ++i) {
    int32_t result = requantize_sum(each[i], to + i, w->rounding);
    result = result < w->minimum ? w->minimum : result;
    int16_t value = (int16_t)(result > w->maximum ? w->maximum : result);
    (void)memcpy(out + 2 * i, &value, 2);
  }
}
