/* How the products of int16 data with int8 weights are added up. */
#pragma once
#include <stdint.h>
#include "requantize.h"

/* sums += the products of `count` numbers with the words of four filters. */
typedef void int16_add(struct sums *sums, const int8_t *data, int32_t count, const int32_t *words);
