/* Some layer is rounded twice: see requantize.h. */
#pragma once
#define ROUNDS_TWICE 1
