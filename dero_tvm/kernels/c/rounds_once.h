/* Some layer is rounded once: see requantize.h. */
#pragma once
#define WITH_ROUNDS_ONCE 1
