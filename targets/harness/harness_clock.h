/* The counter of a profile on the host. */
#ifndef HARNESS_CLOCK_H
#define HARNESS_CLOCK_H

#include <stdint.h>

uint32_t harness_clock(void); /* of 100 nanoseconds */

#endif
