/* A row of a depthwise convolution, float32: four channels of a pixel at a time. */
#pragma once
#include <stdint.h>
#include "float_limits.h"
#include "window.h"

/* Weights lie by tap, then by channel.  Distances between pixels of the data are in bytes. */
TVMGEN_HOT
static void fpu_depthwise_row(const struct window *w, struct taps vertical,
                              const int8_t *const rows[WINDOW_TALLEST], const float *weight,
                              const float *bias, struct limits limits, arena_float *out) {
  int32_t tap_bytes = w->dilation_w * w->in_pixel;
  for (int32_t column = 0; column < w->out_width; ++column) {
    int32_t x = column * w->stride_w - w->left, channel = 0;
    struct taps taps = taps_inside(x, w->in_width, w->kernel_w, w->dilation_w);
    int32_t start = x * w->in_pixel + taps.first * tap_bytes;
    for (; channel + 4 <= w->channels; channel += 4) {
      float a = bias[channel], b = bias[channel + 1], c = bias[channel + 2];
      float d = bias[channel + 3];
      for (int32_t kh = vertical.first; kh < vertical.last; ++kh) {
        const int8_t *bytes = rows[kh] + start + channel * (int32_t)sizeof(float);
        const float *factor = weight + (kh * w->kernel_w + taps.first) * w->channels + channel;
        for (int32_t left = taps.last - taps.first; left > 0; --left) {
          const arena_float *values = (const arena_float *)bytes;
          a = fused(values[0], factor[0], a);
          b = fused(values[1], factor[1], b);
          c = fused(values[2], factor[2], c);
          d = fused(values[3], factor[3], d);
          bytes += tap_bytes;
          factor += w->channels;
        }
      }
      out[channel] = limited(a, limits);
      out[channel + 1] = limited(b, limits);
      out[channel + 2] = limited(c, limits);
      out[channel + 3] = limited(d, limits);
    }
    for (; channel < w->channels; ++channel) {
      float sum = bias[channel];
      for (int32_t kh = vertical.first; kh < vertical.last; ++kh) {
        const int8_t *bytes = rows[kh] + start + channel * (int32_t)sizeof(float);
        const float *factor = weight + (kh * w->kernel_w + taps.first) * w->channels + channel;
        for (int32_t left = taps.last - taps.first; left > 0; --left) {
          sum = fused(*(const arena_float *)bytes, *factor, sum);
          bytes += tap_bytes;
          factor += w->channels;
        }
      }
      out[channel] = limited(sum, limits);
    }
    out += w->out_pixel;
  }
}
