/*
 * A row of a depthwise convolution, int8, on cores with the DSP extension.
 *
 * Four channels at a time.  Two taps side by side make one dual multiplication for each of them:
 * the words of the pixels, (a0, a1, a2, a3) and (b0, b1, b2, b3), are regrouped as
 * (a0, a1, b0, b1) and (a2, a3, b2, b3), and the weights come in words of that order.  The last
 * tap of a window with an odd width has one word, of its own four weights.
 *
 * If channels are no multiple of four, the last four overlap those before.
 */
#pragma once
#include <stdint.h>
#include "requantize.h"
#include "window.h"

/* Written in an order that needs few registers and lets a Cortex-M7 issue two at a time. */
DSP_INLINE void dsp_add_two_taps(struct sums *sums, int32_t a, int32_t b, int32_t offset,
                                 int32_t weight, int32_t next) {
  int32_t halves = dsp_low_halves(a, b), others = dsp_high_halves(a, b);
  int32_t even = dsp_even_plus(offset, halves);
  int32_t factors = dsp_even(weight);
  int32_t odd = dsp_odd_plus(offset, halves);
  sums->a = dsp_dual_multiply_add(even, factors, sums->a);
  factors = dsp_odd(weight);
  weight = next;
  even = dsp_even_plus(offset, others);
  sums->b = dsp_dual_multiply_add(odd, factors, sums->b);
  factors = dsp_even(weight);
  odd = dsp_odd_plus(offset, others);
  sums->c = dsp_dual_multiply_add(even, factors, sums->c);
  factors = dsp_odd(weight);
  sums->d = dsp_dual_multiply_add(odd, factors, sums->d);
}

DSP_INLINE void dsp_add_tap(struct sums *sums, int32_t a, int32_t offset, int32_t weight) {
  int32_t even = dsp_even_plus(offset, a);
  int32_t factors = dsp_even(weight);
  int32_t odd = dsp_odd_plus(offset, a);
  sums->a = dsp_low_multiply_add(even, factors, sums->a);
  int32_t odd_factors = dsp_odd(weight);
  sums->c = dsp_high_multiply_add(even, factors, sums->c);
  sums->b = dsp_low_multiply_add(odd, odd_factors, sums->b);
  sums->d = dsp_high_multiply_add(odd, odd_factors, sums->d);
}

/* Adds two taps that begin at `bytes`; returns the place of the next. */
DSP_INLINE const int8_t *dsp_add_pair(struct sums *sums, const int8_t *bytes, int32_t tap_bytes,
                                      int32_t offset, const int32_t *words) {
  int32_t a = dsp_load4(bytes), b = dsp_load4(bytes + tap_bytes);
  dsp_add_two_taps(sums, a, b, offset, words[0], words[1]);
  return bytes + 2 * tap_bytes;
}

/* All taps of one row of the window. */
DSP_INLINE void dsp_add_row(struct sums *sums, const int8_t *bytes, int32_t tap_bytes,
                            int32_t offset, const int32_t *words, int32_t kernel_w) {
  int32_t pairs = kernel_w / 2;
  if (pairs >= 1) {
    bytes = dsp_add_pair(sums, bytes, tap_bytes, offset, words);
  }
  if (pairs >= 2) {
    bytes = dsp_add_pair(sums, bytes, tap_bytes, offset, words + 2);
  }
  if (pairs >= 3) {
    bytes = dsp_add_pair(sums, bytes, tap_bytes, offset, words + 4);
  }
  for (int32_t pair = 3; pair < pairs; ++pair) {
    bytes = dsp_add_pair(sums, bytes, tap_bytes, offset, words + 2 * pair);
  }
  if (kernel_w & 1) {
    dsp_add_tap(sums, dsp_load4(bytes), offset, words[kernel_w - 1]);
  }
}

/* Adds those of two taps whose bit is set in `inside`; the others have the value `zero`. */
DSP_INLINE void dsp_add_part_of_pair(struct sums *sums, const int8_t *bytes, int32_t tap_bytes,
                                     uint32_t inside, int32_t zero, int32_t offset,
                                     const int32_t *words) {
  if (inside & 3u) {
    int32_t a = inside & 1u ? dsp_load4(bytes) : zero;
    int32_t b = inside & 2u ? dsp_load4(bytes + tap_bytes) : zero;
    dsp_add_two_taps(sums, a, b, offset, words[0], words[1]);
  }
}

/* The taps of one row of the window whose bits are set in `inside`. */
DSP_INLINE void dsp_add_part_of_row(struct sums *sums, const int8_t *bytes, int32_t tap_bytes,
                                    uint32_t inside, int32_t zero, int32_t offset,
                                    const int32_t *words, int32_t kernel_w) {
  int32_t pairs = kernel_w / 2;
  if (pairs == 1) {
    dsp_add_part_of_pair(sums, bytes, tap_bytes, inside, zero, offset, words);
  }
  for (int32_t pair = 0; pairs > 1 && pair < pairs; ++pair) {
    dsp_add_part_of_pair(sums, bytes + 2 * pair * tap_bytes, tap_bytes, inside >> 2 * pair, zero,
                         offset, words + 2 * pair);
  }
  if ((kernel_w & 1) && (inside >> (kernel_w - 1) & 1u)) {
    int32_t last = dsp_load4(bytes + (kernel_w - 1) * tap_bytes);
    dsp_add_tap(sums, last, offset, words[kernel_w - 1]);
  }
}

/* Three taps of a row; returns the words behind theirs. */
DSP_INLINE const int32_t *dsp_add_three(struct sums *sums, const int8_t *bytes, int32_t tap_bytes,
                                        int32_t offset, const int32_t *words) {
  DSP_IN_REGISTER(tap_bytes);
  int32_t a = dsp_load4(bytes), b = dsp_load4(bytes + tap_bytes);
  dsp_add_two_taps(sums, a, b, offset, words[0], words[1]);
  dsp_add_tap(sums, dsp_load4(bytes + 2 * tap_bytes), offset, words[2]);
  return words + 3;
}

/* Options of the whole file, besides DSP_LOOPS, cost registers here, and a core with one pipe the
 * cycles of their loads.  Without the pass for induction variables, these functions need none. */
#if defined(__GNUC__) && !defined(__clang__) && defined(DSP_ONE_PIPE)
#pragma GCC push_options
#pragma GCC reset_options
#endif

/*
 * `count` pixels with windows of three by three inside the image, the first at `start` in its rows.
 * A function of its own, so that the registers are for what its inner loop needs.
 */
TVMGEN_HOT
DSP_LOOPS DSP_NOINLINE static void dsp_three_inside(const struct window *w,
                                                    const int8_t *const rows[WINDOW_TALLEST],
                                                    int32_t start, int32_t count,
                                                    const int32_t *weight,
                                                    const struct requantization *factors,
                                                    int8_t *out) {
  int32_t plainly = requantizes_plainly(w), last = w->channels - 4;
  int32_t offset = dsp_halves(-w->zero_point, -w->zero_point);
  int32_t tap_bytes = w->in_pixel * w->dilation_w, step = w->stride_w * w->in_pixel;
  const int8_t *top = rows[0] + start, *middle = rows[1] + start, *bottom = rows[2] + start;
  for (; count > 0; --count) {
    const struct requantization *to = factors;
    const int32_t *words = weight;
    for (int32_t channel = 0; channel < last + 4; channel += 4) {
      int32_t at = channel < last ? channel : last;
      struct sums sums = {to[0].bias, to[1].bias, to[2].bias, to[3].bias};
      words = dsp_add_three(&sums, top + at, tap_bytes, offset, words);
      words = dsp_add_three(&sums, middle + at, tap_bytes, offset, words);
      words = dsp_add_three(&sums, bottom + at, tap_bytes, offset, words);
      requantize4(sums, 4, to, w, plainly, out + at);
      to += 4;
    }
    top += step, middle += step, bottom += step;
    out += w->out_pixel;
  }
}

/* One pixel whose window is three wide and has the rows of `vertical` and the columns of the bits
 * in `inside`; the others have the value `zero`. */
TVMGEN_HOT
DSP_LOOPS DSP_NOINLINE static void dsp_three_at_border(const struct window *w,
                                                       struct taps vertical,
                                                       const int8_t *const rows[WINDOW_TALLEST],
                                                       int32_t start, uint32_t inside,
                                                       const int32_t *weight,
                                                       const struct requantization *to,
                                                       int8_t *out) {
  int32_t plainly = requantizes_plainly(w), last = w->channels - 4;
  int32_t offset = dsp_halves(-w->zero_point, -w->zero_point);
  int32_t zero = (int32_t)((uint32_t)(uint8_t)w->zero_point * 0x01010101u);
  int32_t tap_bytes = w->in_pixel * w->dilation_w, group_words = 3 * w->kernel_h;
  const int8_t *const *from = rows + vertical.first, *const *end = rows + vertical.last;
  weight += 3 * vertical.first;
  for (int32_t channel = 0; channel < last + 4; channel += 4) {
    int32_t at = channel < last ? channel : last;
    struct sums sums = {to[0].bias, to[1].bias, to[2].bias, to[3].bias};
    const int32_t *words = weight;
    if (inside == 7) {
      for (const int8_t *const *row = from; row != end; ++row) {
        words = dsp_add_three(&sums, *row + start + at, tap_bytes, offset, words);
      }
    } else {
      for (const int8_t *const *row = from; row != end; ++row) {
        dsp_add_part_of_row(&sums, *row + start + at, tap_bytes, inside, zero, offset, words, 3);
        words += 3;
      }
    }
    requantize4(sums, 4, to, w, plainly, out + at);
    to += 4;
    weight += group_words;
  }
}

#if defined(__GNUC__) && !defined(__clang__) && defined(DSP_ONE_PIPE)
#pragma GCC pop_options
#endif

/*
 * `kernel_h` and `kernel_w` are those of the window, as literals: windows of three rows are
 * unrolled as a whole, others row by row.  `layer` may have other columns than `w`, which is looked
 * at here alone, so that a compiler need not put it together in memory.
 */
DSP_INLINE void dsp_depthwise_row(const struct window *w, const struct window *layer,
                                  struct taps vertical, const int8_t *const rows[WINDOW_TALLEST],
                                  const int32_t *weight,
                                  const struct requantization *factors, int8_t *out,
                                  int32_t kernel_h, int32_t kernel_w) {
  int32_t plainly = requantizes_plainly(layer);
  int32_t offset = dsp_halves(-w->zero_point, -w->zero_point);
  int32_t zero = (int32_t)((uint32_t)(uint8_t)w->zero_point * 0x01010101u);
  int32_t tap_bytes = w->in_pixel * w->dilation_w, x = -w->left;
  int32_t last_x = w->in_width - (kernel_w - 1) * w->dilation_w - 1;
  int32_t all_rows = vertical.first == 0 && vertical.last == 3 && kernel_h == 3;
  int32_t last_channel = w->channels - 4;
  for (int32_t column = 0; column < w->out_width; ++column) {
    int32_t all_columns = x >= 0 && x <= last_x;
    if (kernel_w == 3 && all_rows && all_columns) {
      int32_t most = w->out_width - column, count = 1 + (last_x - x) / w->stride_w;
      count = count < most ? count : most;
      dsp_three_inside(layer, rows, x * w->in_pixel, count, weight, factors, out);
      x += count * w->stride_w;
      out += count * w->out_pixel;
      column += count - 1;
      continue;
    }
    uint32_t inside = 0;
    if (!all_columns) {
      struct taps taps = taps_inside(x, w->in_width, kernel_w, w->dilation_w);
      inside = (1u << taps.last) - (1u << taps.first);
    }
    const struct requantization *to = factors;
    const int32_t *words = weight;
    int32_t left = x * w->in_pixel;
    if (kernel_w == 3) {
      inside = all_columns ? 7u : inside;
      dsp_three_at_border(layer, vertical, rows, left, inside, weight, factors, out);
      x += w->stride_w;
      out += w->out_pixel;
      continue;
    }
    for (int32_t channel = 0; channel < last_channel + 4; channel += 4) {
      int32_t at = channel < last_channel ? channel : last_channel;
      int32_t start = left + at;
      struct sums sums = {to[0].bias, to[1].bias, to[2].bias, to[3].bias};
      if (all_rows && all_columns) {
        dsp_add_row(&sums, rows[0] + start, tap_bytes, offset, words, kernel_w);
        dsp_add_row(&sums, rows[1] + start, tap_bytes, offset, words + kernel_w, kernel_w);
        dsp_add_row(&sums, rows[2] + start, tap_bytes, offset, words + 2 * kernel_w, kernel_w);
        words += 3 * kernel_w;
      } else if (all_columns) {
        const int32_t *row_words = words + vertical.first * kernel_w;
        for (int32_t kh = vertical.first; kh < vertical.last; ++kh) {
          dsp_add_row(&sums, rows[kh] + start, tap_bytes, offset, row_words, kernel_w);
          row_words += kernel_w;
        }
        words += kernel_h * kernel_w;
      } else {
        const int32_t *row_words = words + vertical.first * kernel_w;
        for (int32_t kh = vertical.first; kh < vertical.last; ++kh) {
          dsp_add_part_of_row(&sums, rows[kh] + start, tap_bytes, inside, zero, offset,
                              row_words, kernel_w);
          row_words += kernel_w;
        }
        words += kernel_h * kernel_w;
      }
      requantize4(sums, 4, to, layer, plainly, out + at);
      to += 4;
    }
    x += w->stride_w;
    out += w->out_pixel;
  }
}
