/*
 * A row of a convolution of one group without dilation, int8, on cores with the DSP extension.
 *
 * One pixel meets four filters at a time.  Weights come in words of four, two filters by two
 * channels: the bytes of filter 2i lie below those of filter 2i + 1, so that a half is
 * 256 * w(2i+1) + w(2i).  Multiplied as it is, a word gives 256 * high sum + low sum; its lower
 * bytes alone give the low sum, and the difference is 256 times the high one.  That takes one
 * extension of bytes to halves where two words of one filter each would take four.  The words of
 * four channels are (0, 2) and (1, 3) of filters 0 and 1, then of filters 2 and 3.
 *
 * Channels are a multiple of four, or the window is copied to scratch first, where it is
 * continued with zeros up to such a multiple.
 */
#include <stdint.h>
#include <string.h>
#include "requantize.c"

#define DSP_CONV2D_TALLEST 16

struct dsp_conv2d {
  int16_t in_height, in_width, in_pixel, in_row; /* pixel and row: bytes from one to the next */
  int16_t out_width, out_pixel, filters, channels;
  int16_t kernel_h, kernel_w, stride_h, stride_w, top, left;
  int16_t zero_point, minimum, maximum, rounding;
};

DSP_LOOPS static void dsp_conv2d_row(const struct dsp_conv2d *g, int32_t row, const int8_t *data,
                                     int32_t data_rows, const int32_t *weight,
                                     const struct requantization *to, int8_t *out) {
  const int8_t *rows[DSP_CONV2D_TALLEST];
  int32_t y = row * g->stride_h - g->top;
  int32_t first_row = y < 0 ? -y : 0;
  int32_t last_row = g->in_height - y < g->kernel_h ? g->in_height - y : g->kernel_h;
  for (int32_t kh = first_row; kh < last_row; ++kh) {
    rows[kh] = data + (y + kh) % data_rows * g->in_row;
  }
  int32_t offset = dsp_halves(-g->zero_point, -g->zero_point);
  int32_t row_words = g->kernel_w * g->channels;
  for (int32_t column = 0; column < g->out_width; ++column) {
    int32_t x = column * g->stride_w - g->left;
    int32_t first = x < 0 ? -x : 0;
    int32_t last = g->in_width - x < g->kernel_w ? g->in_width - x : g->kernel_w;
    int32_t length = (last - first) * g->channels;
    int32_t start = (x + first) * g->in_pixel;
    const struct requantization *factor = to;
    const int32_t *filter = weight + first * g->channels;
    int8_t *results = out + column * g->out_pixel;
    for (int32_t left = g->filters; left > 0; left -= 4) {
      int32_t sum0 = factor[0].bias, sum1 = sum0, sum2 = factor[2].bias, sum3 = sum2;
      const int32_t *words = filter + first_row * row_words;
      for (int32_t kh = first_row; kh < last_row; ++kh) {
        const int8_t *bytes = rows[kh] + start, *end = bytes + length;
        do {
          int32_t values = dsp_load4(bytes);
          bytes += 4;
          int32_t even = dsp_even_plus(offset, values);
          int32_t odd = dsp_odd_plus(offset, values);
          int32_t word0 = words[0], word1 = words[1];
          sum1 = dsp_dual_multiply_add(even, word0, sum1);
          word0 = dsp_even(word0);
          sum0 = dsp_dual_multiply_add(even, word0, sum0);
          sum1 = dsp_dual_multiply_add(odd, word1, sum1);
          word1 = dsp_even(word1);
          sum0 = dsp_dual_multiply_add(odd, word1, sum0);
          word0 = words[2], word1 = words[3];
          words += 4;
          sum3 = dsp_dual_multiply_add(even, word0, sum3);
          word0 = dsp_even(word0);
          sum2 = dsp_dual_multiply_add(even, word0, sum2);
          sum3 = dsp_dual_multiply_add(odd, word1, sum3);
          word1 = dsp_even(word1);
          sum2 = dsp_dual_multiply_add(odd, word1, sum2);
        } while (bytes != end);
        words += row_words - length;
      }
      filter += g->kernel_h * row_words;
      sum1 = (int32_t)((uint32_t)sum1 - (uint32_t)sum0) >> 8;
      sum3 = (int32_t)((uint32_t)sum3 - (uint32_t)sum2) >> 8;
      int32_t sums[4] = {sum0, sum1 + factor[1].bias, sum2, sum3 + factor[3].bias};
      for (int32_t i = 0; i < 4 && i < left; ++i) {
        int32_t result = g->rounding == DSP_ROUND_TWICE  ? requantize_twice(sums[i], factor + i)
                         : g->rounding == DSP_ROUND_ONCE ? requantize_once(sums[i], factor + i)
                                                         : requantize_any(sums[i], factor + i, g->rounding == DSP_ROUND_ANY_TWICE);
        result = result < g->minimum ? g->minimum : result;
        *results++ = (int8_t)(result > g->maximum ? g->maximum : result);
      }
      factor += 4;
    }
  }
}
