/* Some layer is rounded twice: see requantize.h. */
#pragma once
#define WITH_ROUNDS_TWICE 1
