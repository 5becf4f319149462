/*
 * Copies and fills of a few bytes up to a row, in line: loops whose last turn is under a mask.
 */
#pragma once
#include <stdint.h>
#include "mve_vector.h"

MVE_INLINE void mve_copy(int8_t *to, const int8_t *from, int32_t count) {
#if defined(__ARM_FEATURE_MVE)
  __asm__ volatile("wlstp.8 lr, %[count], 2f\n"
                   "1:\n\tvldrb.u8 q0, [%[from]], #16\n\t"
                   "vstrb.8 q0, [%[to]], #16\n\t"
                   "letp lr, 1b\n"
                   "2:"
                   : [to] "+r"(to), [from] "+r"(from)
                   : [count] "r"(count)
                   : "cc", "memory", "lr", "q0");
#else
  (void)memcpy(to, from, (size_t)count);
#endif
}

MVE_INLINE void mve_fill(int8_t *to, int32_t value, int32_t count) {
#if defined(__ARM_FEATURE_MVE)
  __asm__ volatile("vdup.8 q0, %[value]\n\t"
                   "wlstp.8 lr, %[count], 2f\n"
                   "1:\n\tvstrb.8 q0, [%[to]], #16\n\t"
                   "letp lr, 1b\n"
                   "2:"
                   : [to] "+r"(to)
                   : [value] "r"(value), [count] "r"(count)
                   : "cc", "memory", "lr", "q0");
#else
  (void)memset(to, value, (size_t)count);
#endif
}
