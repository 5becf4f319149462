/*
 * A row of a convolution of one group, float32: two pixels by four filters at a time, eight sums
 * in registers that six loads feed.  Weights of four filters lie side by side for each tap; what
 * remains of the filters follows one by one.
 */
#pragma once
#include <math.h>
#include <stdint.h>
#include "float_limits.h"
#include "window.h"

/* Where a block of pixels and filters begins, and what it runs over. */
struct fpu_block {
  const int8_t *const *rows;
  int32_t count, start, length; /* rows, bytes into each, numbers to read of each */
  const float *weight;
  int32_t taps;       /* of a filter, those outside of the image included */
  int32_t first, gap; /* taps to skip before the first row and between the rows */
  int32_t next; /* numbers from a pixel to the next one that is computed */
};

/* Two pixels by four filters; with `single`, the first pixel alone. */
DSP_INLINE void fpu_add_four(const struct fpu_block *b, const float *bias, float sums[8],
                             int32_t single) {
  float a0 = bias[0], a1 = bias[1], a2 = bias[2], a3 = bias[3];
  float b0 = a0, b1 = a1, b2 = a2, b3 = a3;
  const float *weight = b->weight + 4 * b->first;
  for (int32_t row = 0; row < b->count; ++row) {
    const arena_float *x = (const arena_float *)(b->rows[row] + b->start);
    const arena_float *y = x + b->next, *end = x + b->length;
    while (x != end) {
      float first = *x++;
      float w0 = weight[0], w1 = weight[1], w2 = weight[2], w3 = weight[3];
      weight += 4;
      a0 = fmaf(first, w0, a0);
      a1 = fmaf(first, w1, a1);
      a2 = fmaf(first, w2, a2);
      a3 = fmaf(first, w3, a3);
      if (!single) {
        float second = *y++;
        b0 = fmaf(second, w0, b0);
        b1 = fmaf(second, w1, b1);
        b2 = fmaf(second, w2, b2);
        b3 = fmaf(second, w3, b3);
      }
    }
    weight += 4 * b->gap;
  }
  sums[0] = a0, sums[1] = a1, sums[2] = a2, sums[3] = a3;
  sums[4] = b0, sums[5] = b1, sums[6] = b2, sums[7] = b3;
}

/* One filter of one pixel. */
DSP_INLINE float fpu_add_one(const struct fpu_block *b, float sum) {
  const float *weight = b->weight + b->first;
  for (int32_t row = 0; row < b->count; ++row) {
    const arena_float *x = (const arena_float *)(b->rows[row] + b->start), *end = x + b->length;
    while (x != end) {
      sum = fmaf(*x++, *weight++, sum);
    }
    weight += b->gap;
  }
  return sum;
}

/* All filters of one pixel, or of two. */
DSP_NOINLINE static void fpu_pixels(const struct window *w, struct fpu_block b,
                                    const float *bias, struct limits limits, int32_t pixels,
                                    arena_float *out) {
  float sums[8];
  int32_t left = w->filters;
  for (; left >= 4; left -= 4) {
    if (pixels == 2) {
      fpu_add_four(&b, bias, sums, 0);
    } else {
      fpu_add_four(&b, bias, sums, 1);
    }
    for (int32_t i = 0; i < 4; ++i) {
      out[i] = limited(sums[i], limits);
    }
    for (int32_t i = 0; i < 4 && pixels == 2; ++i) {
      out[w->out_pixel + i] = limited(sums[4 + i], limits);
    }
    b.weight += 4 * b.taps;
    bias += 4;
    out += 4;
  }
  for (; left > 0; --left) {
    out[0] = limited(fpu_add_one(&b, bias[0]), limits);
    if (pixels == 2) {
      struct fpu_block second = b;
      second.start += 4 * b.next;
      out[w->out_pixel] = limited(fpu_add_one(&second, bias[0]), limits);
    }
    b.weight += b.taps;
    ++bias;
    ++out;
  }
}

/* The pixels of a window lie side by side.  Distances between pixels of the data are in bytes. */
static void fpu_conv2d_row(const struct window *w, int32_t row, const int8_t *data,
                           int32_t data_rows, const float *weight, const float *bias,
                           struct limits limits, arena_float *out) {
  const int8_t *rows[WINDOW_TALLEST];
  struct taps vertical = rows_under(w, row, data, data_rows, rows);
  int32_t row_taps = w->kernel_w * w->channels, step = w->stride_w * w->in_pixel;
  for (int32_t column = 0; column < w->out_width;) {
    int32_t x = column * w->stride_w - w->left;
    struct taps taps = taps_inside(x, w->in_width, w->kernel_w, 1);
    struct taps next = taps_inside(x + w->stride_w, w->in_width, w->kernel_w, 1);
    int32_t pair = column + 1 < w->out_width && taps.first == next.first && taps.last == next.last;
    int32_t length = (taps.last - taps.first) * w->channels;
    struct fpu_block block = {
        .rows = rows + vertical.first,
        .count = vertical.last - vertical.first,
        .start = (x + taps.first) * w->in_pixel,
        .length = length,
        .weight = weight,
        .taps = w->kernel_h * row_taps,
        .first = vertical.first * row_taps + taps.first * w->channels,
        .gap = row_taps - length,
        .next = step / (int32_t)sizeof(float),
    };
    fpu_pixels(w, block, bias, limits, 1 + pair, out);
    column += 1 + pair;
    out += (1 + pair) * w->out_pixel;
  }
}
