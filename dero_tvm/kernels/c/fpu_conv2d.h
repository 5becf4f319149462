/*
 * A row of a convolution of one group, float32: four pixels by four filters at a time, sixteen
 * sums in registers that eight loads feed.  Weights of four filters lie side by side for each tap;
 * what remains of the filters follows one by one.  With Helium, the sums of four filters are one
 * vector.
 */
#pragma once
#include <stdint.h>
#include "float_limits.h"
#include "window.h"

#if defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 2)
#include <arm_mve.h>
#define FPU_VECTORS 1
#endif

/* Where a block of pixels and filters begins, and what it runs over. */
struct fpu_block {
  const int8_t *const *rows;
  int32_t count, start, length; /* rows, bytes into each, numbers to read of each */
  const float *weight;
  int32_t taps;       /* of a filter, those outside of the image included */
  int32_t first, gap; /* taps to skip before the first row and between the rows */
  int32_t next; /* numbers from a pixel to the next one that is computed */
};

#if defined(__ARM_FP) && defined(__thumb2__)
/* All that one instruction reads, to tell the compiler so. */
struct fpu_four {
  arena_float numbers[4];
};

/* Reads four numbers with one instruction, where compilers take four; returns where they end. */
DSP_INLINE const float *fpu_load_four(const float *from, float w[4]) {
  register float s28 __asm__("s28");
  register float s29 __asm__("s29");
  register float s30 __asm__("s30");
  register float s31 __asm__("s31");
  __asm__("vldmia %0!, {s28-s31}"
          : "+r"(from), "=t"(s28), "=t"(s29), "=t"(s30), "=t"(s31)
          : "m"(*(const struct fpu_four *)from));
  w[0] = s28, w[1] = s29, w[2] = s30, w[3] = s31;
  return from;
}

/* The same into other registers, so that eight numbers can be there at once. */
DSP_INLINE const float *fpu_load_others(const float *from, float w[4]) {
  register float s24 __asm__("s24");
  register float s25 __asm__("s25");
  register float s26 __asm__("s26");
  register float s27 __asm__("s27");
  __asm__("vldmia %0!, {s24-s27}"
          : "+r"(from), "=t"(s24), "=t"(s25), "=t"(s26), "=t"(s27)
          : "m"(*(const struct fpu_four *)from));
  w[0] = s24, w[1] = s25, w[2] = s26, w[3] = s27;
  return from;
}
#else
DSP_INLINE const float *fpu_load_four(const float *from, float w[4]) {
  w[0] = from[0], w[1] = from[1], w[2] = from[2], w[3] = from[3];
  return from + 4;
}

DSP_INLINE const float *fpu_load_others(const float *from, float w[4]) {
  return fpu_load_four(from, w);
}
#endif

#if defined(FPU_VECTORS)

/* `pixels`, 1, 2 or 4, by four filters. */
DSP_INLINE void fpu_add_four(const struct fpu_block *b, const float *bias, float *sums,
                             int32_t pixels) {
  float32x4_t a = vld1q_f32(bias), c = a, d = a, e = a;
  const float *weight = b->weight + 4 * b->first;
  for (int32_t row = 0; row < b->count; ++row) {
    const arena_float *x = (const arena_float *)(b->rows[row] + b->start);
    const arena_float *y = x + b->next, *z = y + b->next, *u = z + b->next;
    for (int32_t left = b->length; left > 0; --left) {
      float32x4_t w = vld1q_f32(weight);
      weight += 4;
      a = vfmaq_n_f32(a, w, *x++);
      if (pixels > 1) {
        c = vfmaq_n_f32(c, w, *y++);
      }
      if (pixels > 2) {
        d = vfmaq_n_f32(d, w, *z++);
        e = vfmaq_n_f32(e, w, *u++);
      }
    }
    weight += 4 * b->gap;
  }
  vst1q_f32(sums, a);
  if (pixels > 1) {
    vst1q_f32(sums + 4, c);
  }
  if (pixels > 2) {
    vst1q_f32(sums + 8, d);
    vst1q_f32(sums + 12, e);
  }
}

#else

/* `pixels`, 1, 2 or 4, by four filters. */
DSP_INLINE void fpu_add_four(const struct fpu_block *b, const float *bias, float *sums,
                             int32_t pixels) {
  float a0 = bias[0], a1 = bias[1], a2 = bias[2], a3 = bias[3];
  float c0 = a0, c1 = a1, c2 = a2, c3 = a3;
  float d0 = a0, d1 = a1, d2 = a2, d3 = a3;
  float e0 = a0, e1 = a1, e2 = a2, e3 = a3;
  const float *weight = b->weight + 4 * b->first;
  for (int32_t row = 0; row < b->count; ++row) {
    const arena_float *x = (const arena_float *)(b->rows[row] + b->start);
    const arena_float *y = x + b->next, *z = y + b->next, *u = z + b->next;
    const arena_float *end = x + b->length;
    while (x != end) {
      float value = *x++, w[4];
      weight = fpu_load_four(weight, w);
      a0 = fused(value, w[0], a0);
      a1 = fused(value, w[1], a1);
      a2 = fused(value, w[2], a2);
      a3 = fused(value, w[3], a3);
      if (pixels > 1) {
        value = *y++;
        c0 = fused(value, w[0], c0);
        c1 = fused(value, w[1], c1);
        c2 = fused(value, w[2], c2);
        c3 = fused(value, w[3], c3);
      }
      if (pixels > 2) {
        value = *z++;
        d0 = fused(value, w[0], d0);
        d1 = fused(value, w[1], d1);
        d2 = fused(value, w[2], d2);
        d3 = fused(value, w[3], d3);
        value = *u++;
        e0 = fused(value, w[0], e0);
        e1 = fused(value, w[1], e1);
        e2 = fused(value, w[2], e2);
        e3 = fused(value, w[3], e3);
      }
    }
    weight += 4 * b->gap;
  }
  sums[0] = a0, sums[1] = a1, sums[2] = a2, sums[3] = a3;
  if (pixels > 1) {
    sums[4] = c0, sums[5] = c1, sums[6] = c2, sums[7] = c3;
  }
  if (pixels > 2) {
    sums[8] = d0, sums[9] = d1, sums[10] = d2, sums[11] = d3;
    sums[12] = e0, sums[13] = e1, sums[14] = e2, sums[15] = e3;
  }
}

/* One pixel by eight filters, whose weights are those of two blocks. */
DSP_INLINE void fpu_add_eight(const struct fpu_block *b, const float *bias, float *sums) {
  float a0 = bias[0], a1 = bias[1], a2 = bias[2], a3 = bias[3];
  float c0 = bias[4], c1 = bias[5], c2 = bias[6], c3 = bias[7];
  const float *weight = b->weight + 4 * b->first, *second = weight + 4 * b->taps;
  for (int32_t row = 0; row < b->count; ++row) {
    const arena_float *x = (const arena_float *)(b->rows[row] + b->start), *end = x + b->length;
    while (x != end) {
      float value = *x++, w[4], v[4];
      weight = fpu_load_four(weight, w);
      second = fpu_load_others(second, v);
      a0 = fused(value, w[0], a0);
      a1 = fused(value, w[1], a1);
      a2 = fused(value, w[2], a2);
      a3 = fused(value, w[3], a3);
      c0 = fused(value, v[0], c0);
      c1 = fused(value, v[1], c1);
      c2 = fused(value, v[2], c2);
      c3 = fused(value, v[3], c3);
    }
    weight += 4 * b->gap;
    second += 4 * b->gap;
  }
  sums[0] = a0, sums[1] = a1, sums[2] = a2, sums[3] = a3;
  sums[4] = c0, sums[5] = c1, sums[6] = c2, sums[7] = c3;
}

#endif

/* One filter of the pixel that lies `distance` bytes behind the first. */
DSP_INLINE float fpu_add_one(const struct fpu_block *b, int32_t distance, float sum) {
  const float *weight = b->weight + b->first;
  for (int32_t row = 0; row < b->count; ++row) {
    const arena_float *x = (const arena_float *)(b->rows[row] + b->start + distance);
    int32_t left = b->length;
    for (; left >= 4; left -= 4, x += 4) {
      float w[4];
      weight = fpu_load_four(weight, w);
      sum = fused(x[0], w[0], sum);
      sum = fused(x[1], w[1], sum);
      sum = fused(x[2], w[2], sum);
      sum = fused(x[3], w[3], sum);
    }
    for (; left > 0; --left) {
      sum = fused(*x++, *weight++, sum);
    }
    weight += b->gap;
  }
  return sum;
}

/* All filters of one pixel, or of two or four; moves the block to the last filter. */
TVMGEN_HOT
DSP_NOINLINE static void fpu_pixels(const struct window *w, struct fpu_block *b,
                                    const float *bias, const struct limits *to, int32_t pixels,
                                    arena_float *out) {
  float sums[16];
  struct limits limits = *to;
  int32_t left = w->filters;
#if !defined(FPU_VECTORS)
  for (; pixels == 1 && left >= 8; left -= 8) {
    fpu_add_eight(b, bias, sums);
    for (int32_t i = 0; i < 8; ++i) {
      out[i] = limited(sums[i], limits);
    }
    b->weight += 8 * b->taps;
    bias += 8;
    out += 8;
  }
#endif
  for (; left >= 4; left -= 4) {
    if (pixels == 4) {
      fpu_add_four(b, bias, sums, 4);
    } else if (pixels == 2) {
      fpu_add_four(b, bias, sums, 2);
    } else {
      fpu_add_four(b, bias, sums, 1);
    }
    arena_float *at = out;
    for (const float *sum = sums; sum != sums + 4 * pixels; sum += 4) {
      at[0] = limited(sum[0], limits);
      at[1] = limited(sum[1], limits);
      at[2] = limited(sum[2], limits);
      at[3] = limited(sum[3], limits);
      at += w->out_pixel;
    }
    b->weight += 4 * b->taps;
    bias += 4;
    out += 4;
  }
  for (; left > 0; --left) {
    for (int32_t pixel = 0; pixel < pixels; ++pixel) {
      int32_t distance = pixel * b->next * (int32_t)sizeof(float);
      out[pixel * w->out_pixel] = limited(fpu_add_one(b, distance, bias[0]), limits);
    }
    b->weight += b->taps;
    ++bias;
    ++out;
  }
}

/* The pixels of a window lie side by side.  Distances between pixels of the data are in bytes. */
TVMGEN_HOT
static void fpu_conv2d_row(const struct window *w, struct taps vertical,
                           const int8_t *const rows[WINDOW_TALLEST], const float *weight,
                           const float *bias, struct limits limits, arena_float *out) {
  int32_t row_taps = w->kernel_w * w->channels, step = w->stride_w * w->in_pixel;
  for (int32_t column = 0; column < w->out_width;) {
    int32_t x = column * w->stride_w - w->left, left = w->out_width - column;
    struct taps taps = taps_inside(x, w->in_width, w->kernel_w, 1);
    /* Of several pixels all windows lie inside the image. */
    int32_t pixels = left >= 4 ? 4 : left >= 2 ? 2 : 1;
    if (x < 0) {
      pixels = 1;
    }
    while (pixels > 1 && x + (pixels - 1) * w->stride_w + w->kernel_w > w->in_width) {
      pixels /= 2;
    }
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
    fpu_pixels(w, &block, bias, &limits, pixels, out);
    column += pixels;
    out += pixels * w->out_pixel;
  }
}
