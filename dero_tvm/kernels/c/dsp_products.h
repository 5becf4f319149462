/*
 * Products of a run of bytes with the weights of four filters, on cores with the DSP extension.
 *
 * The bytes meet four filters at a time.  Weights come in words of two filters by two channels:
 * the bytes of filter 2i lie below those of filter 2i + 1, so that each half of a word is
 * 256 * w(2i+1) + w(2i).  Multiplied as it is, it gives 256 * high sum + low sum; its lower bytes
 * alone give the low sum, and the difference is 256 times the high one.  That takes one extension
 * of bytes to halves where two words of one filter each would take four.  Four channels are four
 * words: channels (0, 2) and (1, 3) of filters 0 and 1, then of filters 2 and 3.
 */
#pragma once
#include <stdint.h>
#include "requantize.h"
#include "window.h"

/*
 * Adds the products of four channels; returns the next words.  Until they are parted, sums b and d
 * hold 256 times their own with a and c on top.
 */
DSP_INLINE const int32_t *dsp_add_products(struct sums *sums, int32_t bytes, int32_t offset,
                                           const int32_t *words) {
  int32_t even = dsp_even_plus(offset, bytes), odd = dsp_odd_plus(offset, bytes);
  int32_t first = words[0], second = words[1];
  sums->b = dsp_dual_multiply_add(even, first, sums->b);
  first = dsp_even(first);
  sums->a = dsp_dual_multiply_add(even, first, sums->a);
  sums->b = dsp_dual_multiply_add(odd, second, sums->b);
  second = dsp_even(second);
  sums->a = dsp_dual_multiply_add(odd, second, sums->a);
  first = words[2], second = words[3];
  sums->d = dsp_dual_multiply_add(even, first, sums->d);
  first = dsp_even(first);
  sums->c = dsp_dual_multiply_add(even, first, sums->c);
  sums->d = dsp_dual_multiply_add(odd, second, sums->d);
  second = dsp_even(second);
  sums->c = dsp_dual_multiply_add(odd, second, sums->c);
  return words + 4;
}

#if defined(DSP_ONE_PIPE) && DSP_NATIVE
/*
 * Four channels; moves both pointers on.  For cores with one pipe, which take two cycles for each
 * load that stands alone, and five for one of four words.
 */
DSP_INLINE void dsp_add_products4(struct sums *sums, const int8_t **bytes, int32_t offset,
                                  const int32_t **words) {
  register int32_t first __asm__("r3"), second __asm__("r4");
  register int32_t third __asm__("r5"), fourth __asm__("r6");
  int32_t data = dsp_load4(*bytes);
  *bytes += 4;
  __asm__("ldmia %[words]!, {r3, r4, r5, r6}"
          : "=r"(first), "=r"(second), "=r"(third), "=r"(fourth), [words] "+r"(*words)
          :
          : "memory");
  int32_t even = dsp_even_plus(offset, data);
  data = dsp_odd_plus(offset, data);
  sums->b = dsp_dual_multiply_add(even, first, sums->b);
  first = dsp_even(first);
  sums->a = dsp_dual_multiply_add(even, first, sums->a);
  sums->b = dsp_dual_multiply_add(data, second, sums->b);
  second = dsp_even(second);
  sums->a = dsp_dual_multiply_add(data, second, sums->a);
  sums->d = dsp_dual_multiply_add(even, third, sums->d);
  third = dsp_even(third);
  sums->c = dsp_dual_multiply_add(even, third, sums->c);
  sums->d = dsp_dual_multiply_add(data, fourth, sums->d);
  fourth = dsp_even(fourth);
  sums->c = dsp_dual_multiply_add(data, fourth, sums->c);
}

DSP_INLINE void dsp_add_products16(struct sums *sums, const int8_t **bytes, int32_t offset,
                                   const int32_t **words) {
  dsp_add_products4(sums, bytes, offset, words);
  dsp_add_products4(sums, bytes, offset, words);
  dsp_add_products4(sums, bytes, offset, words);
  dsp_add_products4(sums, bytes, offset, words);
}
#else
/*
 * The parts of `dsp_add_products16`: four channels of two filters, with what is to be done behind
 * the load of their words and beside the second and the fourth product.
 */
#define DSP_TWO_FILTERS(low, high, place, behind_load, beside_second, beside_fourth) \
  first = (*words)[place], second = (*words)[(place) + 1];                           \
  behind_load;                                                                       \
  extended = dsp_even(first);                                                        \
  (high) = dsp_dual_multiply_add(even, first, high);                                 \
  beside_second;                                                                     \
  (low) = dsp_dual_multiply_add(even, extended, low);                                \
  extended = dsp_even(second);                                                       \
  (high) = dsp_dual_multiply_add(odd, second, high);                                 \
  beside_fourth;                                                                     \
  (low) = dsp_dual_multiply_add(odd, extended, low)
#define DSP_EVEN even = dsp_even_plus(offset, data)
#define DSP_ODD odd = dsp_odd_plus(offset, data)
#define DSP_LOAD(place) data = dsp_load4(*bytes + (place))
#define DSP_NOTHING (void)0

/*
 * The same of sixteen channels; moves both pointers on.  Written in the order that a Cortex-M7
 * issues two at a time: beside each product goes the extension of the next weights, a load, or a
 * part of the next data.  Only the loads of two words take a turn of their own.
 */
DSP_INLINE void dsp_add_products16(struct sums *sums, const int8_t **bytes, int32_t offset,
                                   const int32_t **words) {
  int32_t data, even, odd, first, second, extended;
  DSP_LOAD(0);
  DSP_TWO_FILTERS(sums->a, sums->b, 0, DSP_EVEN, DSP_ODD, DSP_NOTHING);
  DSP_TWO_FILTERS(sums->c, sums->d, 2, DSP_NOTHING, DSP_LOAD(4), DSP_EVEN);
  DSP_TWO_FILTERS(sums->a, sums->b, 4, DSP_NOTHING, DSP_ODD, DSP_NOTHING);
  DSP_TWO_FILTERS(sums->c, sums->d, 6, DSP_NOTHING, DSP_LOAD(8), DSP_EVEN);
  DSP_TWO_FILTERS(sums->a, sums->b, 8, DSP_NOTHING, DSP_ODD, DSP_NOTHING);
  DSP_TWO_FILTERS(sums->c, sums->d, 10, DSP_NOTHING, DSP_LOAD(12), DSP_EVEN);
  DSP_TWO_FILTERS(sums->a, sums->b, 12, DSP_NOTHING, DSP_ODD, *bytes += 16);
  DSP_TWO_FILTERS(sums->c, sums->d, 14, DSP_NOTHING, *words += 16, DSP_NOTHING);
}
#endif

DSP_INLINE int32_t dsp_part(int32_t both, int32_t low) {
  return (int32_t)((uint32_t)both - (uint32_t)low) >> 8;
}

/* Adds the products of `length` bytes, a multiple of four; returns the words behind theirs. */
DSP_INLINE const int32_t *dsp_add_run(struct sums *sums, const int8_t *bytes, int32_t length,
                                      int32_t offset, const int32_t *words) {
  const int8_t *end = bytes + length;
  if (length & 12) {
    if (length & 4) {
      words = dsp_add_products(sums, dsp_load4(bytes), offset, words);
      bytes += 4;
    }
    if (length & 8) {
      words = dsp_add_products(sums, dsp_load4(bytes), offset, words);
      words = dsp_add_products(sums, dsp_load4(bytes + 4), offset, words);
      bytes += 8;
    }
  }
  while (bytes != end) {
    DSP_IN_REGISTER(end);
    dsp_add_products16(sums, &bytes, offset, &words);
  }
  return words;
}

/* Parts the sums, which begin with the biases of filters 0 and 2, and stores up to four results. */
DSP_INLINE void dsp_store_filters(struct sums sums, int32_t left, const struct requantization *to,
                                  const struct window *w, int32_t plainly, int8_t *out) {
  sums.b = dsp_part(sums.b, sums.a) + to[1].bias;
  sums.d = dsp_part(sums.d, sums.c) + to[3].bias;
  requantize4(sums, left, to, w, plainly, out);
}
