/*
 * A row of a convolution of one group, int8, with Helium: two pixels at a time.  A window that
 * reaches beyond the image to the left or right is copied to scratch, which has room for one; rows
 * above and below the image are read from an array of zero points.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "mve_two_pixels.h"
#include "mve_window.h"

/* Where the runs below two windows begin, `first` and `second` bytes from where the rows do. */
MVE_FUNCTION void mve_find_runs(const struct window *w, const struct mve_layer *layer,
                                const struct taps *vertical, const int8_t *const *rows,
                                int32_t first, int32_t second, const int8_t *outside,
                                const int8_t **lines) {
  const int32_t taps = layer->by_rows ? 1 : w->kernel_w, step = w->dilation_w * w->in_pixel;
  if (vertical->last - vertical->first != w->kernel_h) {
    for (int32_t i = 0; i < 2 * layer->runs; ++i) {
      lines[i] = outside;
    }
  }
  lines += 2 * taps * vertical->first;
  for (int32_t i = vertical->first; i < vertical->last; ++i) {
    const int8_t *x = rows[i] + first;
    int32_t tap = 0;
    do {
      lines[0] = x;
      lines[1] = x + (second - first);
      lines += 2;
      x += step;
    } while (++tap < taps);
  }
}

/* All filters of one or two pixels. */
MVE_INLINE void mve_filters(const struct window *w, const struct mve_layer *layer, int32_t count,
                            const int8_t *const *lines, const int32_t *weights,
                            const int32_t *factors, int8_t *out, mve_one_pixel *one,
                            mve_two_pixels *two) {
  int32_t left = w->filters;
  if (count == 2 && left >= 4) {
    two(layer, lines, weights, factors, out);
    left &= 3;
    if (left == 0) {
      return;
    }
    const int32_t groups = layer->groups;
    weights += groups * layer->runs * 16 * (layer->vectors + (layer->rest > 0));
    factors += 12 * groups;
    out += 4 * groups;
  }
  for (int32_t i = 0; left > 0 && i < count; ++i) {
    one(layer, lines + i, weights, factors, out + i * layer->pixel, left);
  }
}

/* `lines` has room for two pointers a run, and one. */
MVE_FUNCTION void mve_conv2d_row(const struct window *w, const struct mve_layer *layer,
                                 struct taps vertical, const int8_t *const *rows,
                                 const int8_t **lines, const int8_t *outside,
                                 const int32_t *weights, const int32_t *factors, int8_t *out,
                                 int8_t *scratch, mve_one_pixel *one, mve_two_pixels *two) {
  const int32_t end = w->in_width - (w->kernel_w - 1) * w->dilation_w; /* of windows inside */
  const int32_t a_row = layer->by_rows ? 2 : 2 * w->kernel_w; /* of `lines` */
  const int8_t **const first = lines + a_row * vertical.first;
  const int8_t **const last = lines + a_row * vertical.last;
  const int32_t step = 2 * w->stride_w * w->in_pixel;
  bool found = false; /* both lines, of windows inside */
  int32_t left = -w->left, count = 2;
  lines[2 * layer->runs] = NULL;
  for (int32_t pixels = w->out_width; pixels > 0; pixels -= count) {
    const int32_t next = left + w->stride_w;
    const bool this_inside = left >= 0 && left < end;
    const bool next_inside = pixels > 1 && next >= 0 && next < end;
    if (found && next_inside) {
      for (const int8_t **line = first; line != last; ++line) {
        *line += step;
      }
    } else {
      found = this_inside && next_inside;
      count = pixels > 1 && (this_inside || next_inside) ? 2 : 1;
      mve_find_runs(w, layer, &vertical, rows, this_inside ? left * w->in_pixel : 0,
                    next_inside ? next * w->in_pixel : 0, outside, lines);
      if (!this_inside || (count == 2 && !next_inside)) {
        mve_copy_window(scratch, rows, &vertical, this_inside ? next : left, w);
        for (int32_t i = 0; i < layer->runs; ++i) {
          lines[2 * i + this_inside] = scratch + i * (16 * layer->vectors + layer->rest);
        }
      }
    }
    mve_filters(w, layer, count, lines, weights, factors, out, one, two);
    out += count * layer->pixel;
    left += count * w->stride_w;
  }
}

/* Windows of one pixel. */
MVE_FUNCTION void mve_pointwise_row(const struct window *w, const struct mve_layer *layer,
                                    struct taps vertical, const int8_t *const *rows,
                                    const int32_t *weights, const int32_t *factors, int8_t *out,
                                    mve_one_pixel *one, mve_two_pixels *two) {
  const int32_t step = w->stride_w * w->in_pixel;
  const int8_t *lines[3] = {rows[vertical.first] - w->left * w->in_pixel, NULL, NULL};
  for (int32_t pixels = w->out_width; pixels > 0; pixels -= 2) {
    lines[1] = pixels > 1 ? lines[0] + step : NULL;
    mve_filters(w, layer, pixels > 1 ? 2 : 1, lines, weights, factors, out, one, two);
    if (pixels > 2) {
      lines[0] += 2 * step;
    }
    out += 2 * layer->pixel;
  }
}

/* Every window is copied, to become one run; scratch has room for two. */
MVE_FUNCTION void mve_conv2d_copied_row(const struct window *w, const struct mve_layer *layer,
                                        struct taps vertical, const int8_t *const *rows,
                                        const int32_t *weights, const int32_t *factors,
                                        int8_t *out, int8_t *scratch, mve_one_pixel *one,
                                        mve_two_pixels *two) {
  const int32_t end = w->in_width - (w->kernel_w - 1) * w->dilation_w; /* of windows inside */
  const bool whole = layer->by_rows && vertical.last - vertical.first == w->kernel_h;
  const int32_t row = w->kernel_w * w->channels;
  int8_t *const patches[3] = {scratch, scratch + 16 * layer->vectors, NULL};
  int32_t left = -w->left, count;
  for (int32_t pixels = w->out_width; pixels > 0; pixels -= count) {
    for (count = 0; count < 2 && count < pixels; ++count, left += w->stride_w) {
      int8_t *patch = patches[count];
      if (whole && left >= 0 && left < end) {
        const int32_t offset = left * w->in_pixel;
        for (int32_t i = vertical.first; i < vertical.last; ++i, patch += row) {
          mve_copy(patch, rows[i] + offset, row);
        }
      } else {
        mve_copy_window(patch, rows, &vertical, left, w);
      }
    }
    mve_filters(w, layer, count, (const int8_t *const *)patches, weights, factors, out, one, two);
    out += count * layer->pixel;
  }
}
