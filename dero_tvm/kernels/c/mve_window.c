/*
 * The part of an image below a convolution's window, row after row, with the zero point in place
 * of what lies outside.
 */
#include <stdint.h>
#include "mve_vector.c"

struct mve_window {
  int16_t height, width, channels; /* of the image */
  int16_t pixel, row;              /* bytes from one to the next */
  int16_t kernel_h, kernel_w, dilation_h, dilation_w;
  int16_t zero_point;
};

MVE_INLINE void mve_copy(int8_t *to, const int8_t *from, int32_t count) {
#if defined(__ARM_FEATURE_MVE)
  for (; count > 0; count -= 16, to += 16, from += 16) {
    const mve_pred16_t some = vctp8q((uint32_t)count);
    vstrbq_p_s8(to, vldrbq_z_s8(from, some), some);
  }
#else
  memcpy(to, from, (size_t)count);
#endif
}

/* `data` is a ring of `data_rows` rows; the window's first tap is at (top, left). */
MVE_FUNCTION void mve_copy_window(int8_t *patch, const int8_t *data, int32_t data_rows,
                                  int32_t top, int32_t left, const struct mve_window *g) {
  for (int32_t i = 0; i < g->kernel_h; ++i) {
    const int32_t y = top + i * g->dilation_h;
    const int8_t *line = y < 0 || y >= g->height ? 0 : data + y % data_rows * g->row;
    for (int32_t j = 0; j < g->kernel_w; ++j) {
      const int32_t x = left + j * g->dilation_w;
      if (line && x >= 0 && x < g->width) {
        mve_copy(patch, line + x * g->pixel, g->channels);
      } else {
        memset(patch, g->zero_point, (size_t)g->channels);
      }
      patch += g->channels;
    }
  }
}
