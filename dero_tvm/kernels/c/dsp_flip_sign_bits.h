/*
 * uint8 to int8 of one scale and back: the sign bits of eight bytes at a time.
 */
#pragma once
#include <stdint.h>
#include <string.h>
#include "arm_dsp.h"

/* `count` bytes; `out` may lie on `data`. */
DSP_INLINE void dsp_flip_sign_bits(int32_t count, const void *data, void *out) {
  const uint8_t *from = data, *end = from + (count & ~7);
  uint8_t *to = out;
  while (from != end) {
    uint32_t words[2];
    (void)memcpy(&words[0], from, 4);
    (void)memcpy(&words[1], from + 4, 4);
    words[0] ^= 0x80808080u;
    words[1] ^= 0x80808080u;
    (void)memcpy(to, &words[0], 4);
    (void)memcpy(to + 4, &words[1], 4);
    from += 8;
    to += 8;
  }
  for (int32_t i = 0; i < (count & 7); ++i) {
    to[i] = from[i] ^ 0x80u;
  }
}
