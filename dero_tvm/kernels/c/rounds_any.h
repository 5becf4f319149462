/* Some layer is rounded by 64-bit arithmetic: see requantize.h. */
#pragma once
#define ROUNDS_ANY 1
