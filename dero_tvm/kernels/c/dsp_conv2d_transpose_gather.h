/* The same with windows that are copied to scratch; see dsp_conv2d_transpose.h. */
#pragma once
#include "dsp_conv2d_gather.h"

TVMGEN_HOT
static void dsp_conv2d_transpose_gather_row(const struct window *w, int32_t count,
                                            const int32_t *places, struct taps vertical,
                                            const int8_t *const rows[WINDOW_TALLEST],
                                            const int32_t *weight,
                                            const struct requantization *to, int8_t *out,
                                            int8_t *scratch) {
  for (int32_t phase = 0; phase < count; ++phase) {
    dsp_conv2d_gather_row(w + phase, vertical, rows, weight + places[2 * phase], to,
                          out + places[2 * phase + 1], scratch);
  }
}
