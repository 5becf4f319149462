/*
 * Pixels of a pointwise convolution from eight channels, int8, on cores with the DSP extension.
 *
 * A pixel is extended once and stays in registers while all its filters are computed.  With so few
 * products a result, the loads and branches of a loop over channels would take as long as the
 * products, and so would the extension of weights: they are few, and lie there as halves, between
 * what a filter begins and ends with.
 */
#pragma once
#include <stdint.h>
#include "requantize.h"
#include "window.h"

/* `words` are the weights of channels (0, 2), (1, 3), (4, 6) and (5, 7); see `requantization`. */
struct narrow_filter {
  int32_t bias, right;
  int32_t words[4];
  int32_t multiplier, round;
};

/* Bytes (0, 2), (1, 3), (4, 6) and (5, 7) of a pixel less its zero point, as halves. */
struct narrow_pixel {
  int32_t a, b, c, d;
};

/*
 * The result of one filter, whose numbers are loaded two at a time, beside the products.  A sum that is rounded once is
 * not doubled before: of a shift of two bits and more the last one does not matter until what is
 * added has been, so that is half of `round`, and `right` is a bit less.
 */
DSP_INLINE void dsp_narrow_result(struct narrow_pixel pixel, const struct narrow_filter *filter,
                                  int32_t twice, int8_t *out) {
  int32_t sum = filter->bias, right = filter->right;
  DSP_BOTH_IN_REGISTERS(sum, right);
  int32_t first = filter->words[0], second = filter->words[1];
  DSP_BOTH_IN_REGISTERS(first, second);
  sum = dsp_dual_multiply_add(pixel.a, first, sum);
  int32_t third = filter->words[2], fourth = filter->words[3];
  DSP_BOTH_IN_REGISTERS(third, fourth);
  sum = dsp_dual_multiply_add(pixel.b, second, sum);
  sum = dsp_dual_multiply_add(pixel.c, third, sum);
  int32_t multiplier = filter->multiplier, round = filter->round;
  DSP_BOTH_IN_REGISTERS(multiplier, round);
  sum = dsp_dual_multiply_add(pixel.d, fourth, sum);
  if (twice) {
    sum = dsp_high_product_rounded((int32_t)((uint32_t)sum * 2), multiplier);
    sum += (sum >> 31) + round;
  } else {
    sum = dsp_high_product_plus(round, sum, multiplier);
  }
  *out = (int8_t)dsp_saturate8(sum >> right);
}

/* All filters of a pixel, a multiple of four, up to `end`. */
DSP_INLINE void dsp_narrow_filters(const int8_t *from, const struct narrow_filter *filter,
                                   const struct narrow_filter *end, int8_t *out, int32_t offset,
                                   int32_t twice) {
  int32_t first = dsp_load4(from), second = dsp_load4(from + 4);
  struct narrow_pixel pixel = {dsp_even_plus(offset, first), dsp_odd_plus(offset, first),
                               dsp_even_plus(offset, second), dsp_odd_plus(offset, second)};
  for (; filter != end; filter += 4) {
    dsp_narrow_result(pixel, filter, twice, out);
    dsp_narrow_result(pixel, filter + 1, twice, out + 1);
    dsp_narrow_result(pixel, filter + 2, twice, out + 2);
    dsp_narrow_result(pixel, filter + 3, twice, out + 3);
    out += 4;
  }
}

/* Functions of their own, so that a pixel and what a filter takes fit the registers. */
TVMGEN_HOT
DSP_LOOPS DSP_NOINLINE static void dsp_narrow_once(const int8_t *from,
                                                   const struct narrow_filter *filters,
                                                   const struct narrow_filter *end, int8_t *out,
                                                   int32_t offset) {
  dsp_narrow_filters(from, filters, end, out, offset, 0);
}

TVMGEN_HOT
DSP_LOOPS DSP_NOINLINE static void dsp_narrow_twice(const int8_t *from,
                                                    const struct narrow_filter *filters,
                                                    const struct narrow_filter *end, int8_t *out,
                                                    int32_t offset) {
  dsp_narrow_filters(from, filters, end, out, offset, 1);
}

/* Results take all of int8, and are rounded `twice` or once. */
DSP_INLINE void dsp_narrow_row(const struct window *w, const int8_t *from, int32_t pixels,
                               const struct narrow_filter *filters, int8_t *out, int32_t twice) {
  int32_t offset = dsp_halves(-w->zero_point, -w->zero_point);
  int32_t step = w->stride_w * w->in_pixel, result = w->out_pixel;
  const struct narrow_filter *end = filters + w->filters;
  for (; pixels > 0; --pixels) {
    if (twice) {
      dsp_narrow_twice(from, filters, end, out, offset);
    } else {
      dsp_narrow_once(from, filters, end, out, offset);
    }
    from += step;
    out += result;
  }
}
