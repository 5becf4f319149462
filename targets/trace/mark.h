/* The counter of a profile by which the plugin divides a trace: each reading begins another part.
 *
 * Weak, so that all sources may have it: there is one of it in the program.
 */
#ifndef TRACE_MARK_H
#define TRACE_MARK_H

#include <stdint.h>

uint32_t trace_mark(void);

__attribute__((weak, noinline)) uint32_t trace_mark(void) {
  return 0;
}

#endif
