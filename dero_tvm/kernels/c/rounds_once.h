/* Some layer is rounded once: see requantize.h. */
#pragma once
#define ROUNDS_ONCE 1
