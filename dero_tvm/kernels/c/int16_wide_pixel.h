/*
 * All filters of one pixel, int16 data with int8 weights, whose sums may leave 32 bits: they are
 * added up in 64 bits, in parts that 32 bits hold.  The bias of a record is 64 bits wide, its upper
 * word in place of `round`; `right` is the shift.
 */
#pragma once
#include <stdint.h>
#include <string.h>
#include "int16_add.h"
#include "requantize.h"
#include "window.h"

#define INT16_PART 504 /* products of 2^22 that 32 bits hold, in whole vectors */

DSP_INLINE int64_t int16_wide_bias(const struct requantization *to) {
  return (int64_t)((uint64_t)(uint32_t)to->round << 32 | (uint32_t)to->bias);
}

TVMGEN_HOT
DSP_NOINLINE static void requantize16_wide(const int64_t totals[4], int32_t count,
                                           const struct requantization *to,
                                           const struct window *w, int8_t *out) {
  for (int32_t i = 0; i < 4 && i < count; ++i) {
    int32_t shift = to[i].right;
    int64_t nudged = totals[i] * (to[i].multiplier >> 16) + (INT64_C(1) << (14 - shift));
    int32_t result = (int32_t)(nudged >> (15 - shift));
    result = result < w->minimum ? w->minimum : result;
    int16_t value = (int16_t)(result > w->maximum ? w->maximum : result);
    (void)memcpy(out + 2 * i, &value, 2);
  }
}

/* An `int16_pixel` (see int16_conv2d.h) by a function for the products. */
DSP_INLINE void int16_wide_pixel(const struct window *w, const int8_t *const *segments,
                                 int32_t count, int32_t start, int32_t length,
                                 const int32_t *weight, int32_t segment_words,
                                 int32_t filter_words, const struct requantization *to,
                                 int8_t *out, int16_add *add) {
  for (int32_t left = w->filters; left > 0; left -= 4) {
    int64_t totals[4];
    for (int32_t i = 0; i < 4; ++i) {
      totals[i] = int16_wide_bias(to + i);
    }
    const int32_t *words = weight;
    for (int32_t segment = 0; segment < count; ++segment) {
      const int8_t *data = segments[segment] + start;
      for (int32_t numbers = length, part; numbers > 0; numbers -= part) {
        struct sums sums = {0, 0, 0, 0};
        part = numbers < INT16_PART ? numbers : INT16_PART;
        add(&sums, data, part, words);
        totals[0] += sums.a;
        totals[1] += sums.b;
        totals[2] += sums.c;
        totals[3] += sums.d;
        data += 2 * part;
        words += part;
      }
      words += segment_words - length;
    }
    requantize16_wide(totals, left, to, w, out);
    weight += filter_words;
    to += 4;
    out += 8;
  }
}
