/* Some layer is rounded by 64-bit arithmetic: see requantize.h. */
#pragma once
#define WITH_ROUNDS_ANY 1
