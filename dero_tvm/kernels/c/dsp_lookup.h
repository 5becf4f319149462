/*
 * Functions of one int8 variable as tables of 256 bytes, four elements at a time.
 */
#pragma once
#include <stdint.h>
#include <string.h>
#include "arm_dsp.h"

/* The entry for the byte of a word that begins at bit `from`. */
DSP_INLINE uint32_t dsp_entry(const int8_t *middle, int32_t word, int32_t from) {
  return (uint8_t)middle[dsp_byte_plus(0, word, from)];
}

/* `count` elements; `out` may lie on `data`. */
DSP_INLINE void dsp_lookup(const int8_t *table, int32_t count, const int8_t *data, int8_t *out) {
  const int8_t *middle = table + 128, *end = data + (count & ~3);
  while (data != end) {
    int32_t word = dsp_load4(data);
    data += 4;
    uint32_t found = dsp_entry(middle, word, 0) | dsp_entry(middle, word, 8) << 8 |
                     dsp_entry(middle, word, 16) << 16 | dsp_entry(middle, word, 24) << 24;
    memcpy(out, &found, 4);
    out += 4;
  }
  for (int32_t i = 0; i < (count & 3); ++i) {
    out[i] = middle[data[i]];
  }
}
