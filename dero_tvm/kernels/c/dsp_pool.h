/*
 * A row of a maximum or average pooling, int8, on cores with the DSP extension: four channels at
 * a time.  If channels are no multiple of four, the last four overlap those before.
 */
#pragma once
#include <stdint.h>
#include "arm_dsp.h"
#include "window.h"

/* The greater one of each pair of bytes. */
DSP_INLINE int32_t dsp_greater_bytes(int32_t a, int32_t b) {
#if DSP_NATIVE
  (void)__ssub8(a, b); /* sets a flag for each byte of a that is not less, for __sel */
  return (int32_t)__sel((uint32_t)a, (uint32_t)b);
#else
  uint32_t greater = 0;
  for (uint32_t bit = 0; bit < 32; bit += 8) {
    uint32_t of_a = (uint32_t)a >> bit & 0xffu, of_b = (uint32_t)b >> bit & 0xffu;
    greater |= ((int8_t)of_a >= (int8_t)of_b ? of_a : of_b) << bit;
  }
  return (int32_t)greater;
#endif
}

/* A sum divided by the number of its terms, rounded to nearest, ties away from zero. */
DSP_INLINE int32_t dsp_average(int32_t sum, int32_t count) {
  int32_t half = count / 2;
  return (sum > 0 ? sum + half : sum - half) / count;
}

DSP_INLINE int8_t dsp_limited(int32_t value, const struct window *w) {
  value = value < w->minimum ? w->minimum : value;
  return (int8_t)(value > w->maximum ? w->maximum : value);
}

/* `average` is a literal; an average has at most 255 terms. */
DSP_INLINE void dsp_pool_row(const struct window *w, struct taps vertical,
                             const int8_t *const rows[WINDOW_TALLEST], int8_t *out,
                             int32_t average) {
  int32_t last_channel = w->channels - 4, tap_bytes = w->in_pixel * w->dilation_w;
  for (int32_t column = 0; column < w->out_width; ++column) {
    int32_t x = column * w->stride_w - w->left;
    struct taps taps = taps_inside(x, w->in_width, w->kernel_w, w->dilation_w);
    int32_t count = (vertical.last - vertical.first) * (taps.last - taps.first);
    for (int32_t channel = 0; channel < last_channel + 4; channel += 4) {
      int32_t at = channel < last_channel ? channel : last_channel;
      int32_t even = 0, odd = 0, greatest = (int32_t)0x80808080u;
      for (int32_t kh = vertical.first; kh < vertical.last; ++kh) {
        const int8_t *bytes = rows[kh] + x * w->in_pixel + taps.first * tap_bytes + at;
        for (int32_t left = taps.last - taps.first; left > 0; --left) {
          int32_t word = dsp_load4(bytes);
          bytes += tap_bytes;
          if (average) {
            even = dsp_even_plus(even, word);
            odd = dsp_odd_plus(odd, word);
          } else {
            greatest = dsp_greater_bytes(word, greatest);
          }
        }
      }
      if (average) {
        out[at] = dsp_limited(dsp_average(dsp_low(even), count), w);
        out[at + 1] = dsp_limited(dsp_average(dsp_low(odd), count), w);
        out[at + 2] = dsp_limited(dsp_average(dsp_high(even), count), w);
        out[at + 3] = dsp_limited(dsp_average(dsp_high(odd), count), w);
      } else {
        for (int32_t i = 0; i < 4; ++i) {
          out[at + i] = dsp_limited(dsp_byte_plus(0, greatest, 8 * i), w);
        }
      }
    }
    out += w->out_pixel;
  }
}
