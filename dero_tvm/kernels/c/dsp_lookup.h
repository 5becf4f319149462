/*
 * Functions of one int8 variable as tables of 256 bytes, eight elements at a time.
 */
#pragma once
#include <stdint.h>
#include <string.h>
#include "arm_dsp.h"

DSP_INLINE uint32_t dsp_entry(const int8_t *middle, int32_t word, int32_t from) {
  return (uint8_t)middle[dsp_byte_plus(0, word, from)];
}

/* The entries for the bytes of a word. */
DSP_INLINE uint32_t dsp_entries(const int8_t *middle, int32_t word) {
  uint32_t entries = dsp_entry(middle, word, 16) | dsp_entry(middle, word, 24) << 8;
  entries = dsp_entry(middle, word, 8) | entries << 8;
  return dsp_entry(middle, word, 0) | entries << 8;
}

/* `count` elements; `out` may lie on `data`. */
DSP_INLINE void dsp_lookup(const int8_t *table, int32_t count, const int8_t *data, int8_t *out) {
  const int8_t *middle = table + 128, *end = data + (count & ~7);
  while (data != end) {
    uint32_t low = dsp_entries(middle, dsp_load4(data));
    uint32_t high = dsp_entries(middle, dsp_load4(data + 4));
    data += 8;
    (void)memcpy(out, &low, 4);
    (void)memcpy(out + 4, &high, 4);
    out += 8;
  }
  for (int32_t i = 0; i < (count & 7); ++i) {
    out[i] = middle[data[i]];
  }
}
