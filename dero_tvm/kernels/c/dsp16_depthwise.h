/*
 * A row of a depthwise convolution, int16 data with int8 weights, on cores with the DSP extension:
 * four channels at a time, the last of which may overlap those before.  A word has the weights of
 * a tap, its bytes in the order (0, 2, 1, 3).
 */
#pragma once
#include <stdint.h>
#include "dsp16_requantize.h"
#include "window.h"

DSP_INLINE void dsp16_depthwise_row(const struct window *w, struct taps vertical,
                                    const int8_t *const rows[WINDOW_TALLEST],
                                    const int32_t *weight, const struct requantization *factors,
                                    int8_t *out, int32_t kernel_h, int32_t kernel_w) {
  int32_t x = -w->left, step = w->dilation_w * w->in_pixel;
  for (int32_t column = 0; column < w->out_width; ++column) {
    struct taps taps = taps_inside(x, w->in_width, kernel_w, w->dilation_w);
    const struct requantization *to = factors;
    const int32_t *words = weight;
    for (int32_t done = 0; done < w->filters; done += 4) {
      int32_t channel = done < w->filters - 4 ? done : w->filters - 4;
      struct sums sums = {to[0].bias, to[1].bias, to[2].bias, to[3].bias};
      for (int32_t kh = vertical.first; kh < vertical.last; ++kh) {
        const int8_t *data = rows[kh] + (x * w->in_pixel + taps.first * step + 2 * channel);
        const int32_t *word = words + kh * kernel_w + taps.first;
        for (int32_t left = taps.last - taps.first; left > 0; --left) {
          int32_t first = dsp_load4(data), second = dsp_load4(data + 4);
          int32_t even = dsp_even(*word), odd = dsp_odd(*word);
          sums.a = dsp_low_multiply_add(first, even, sums.a);
          sums.b = dsp_high_multiply_add(first, even, sums.b);
          sums.c = dsp_low_multiply_add(second, odd, sums.c);
          sums.d = dsp_high_multiply_add(second, odd, sums.d);
          data += step;
          ++word;
        }
      }
      const struct sums finished = sums;
      requantize16(&finished, 4, to, w, out + 2 * channel);
      words += kernel_h * kernel_w;
      to += 4;
    }
    x += w->stride_w;
    out += 2 * w->out_pixel;
  }
}
