/*
 * Filters of two pixels, in groups of four, from runs of bytes; the order of weights is that of
 * mve_dot.h.
 *
 * A vector of weights meets the data of both pixels, with eight sums in the eight even registers,
 * so that compilers have none left: the functions are written as a whole.  Loads and products
 * alternate, as either takes its unit for two cycles; the first weights of a step, and the biases
 * of a group, are loaded in the one before.  So of each one more is read than is used.
 */
#pragma once
#include <stdint.h>
#include "mve_dot.h"
#include "mve_requantize.h"

/* A layer.  Below its window are runs of `vectors` vectors and `rest` bytes. */
struct mve_layer {
  int32_t low[4], high[4]; /* limits of the results */
  int32_t vectors, rest;
  int32_t zero_point; /* of the results */
  int32_t pixel;      /* bytes from one result to the next */
  int32_t groups;     /* of four filters, as many as are whole */
  int32_t runs;
  int32_t by_rows; /* 1: a run is a row of the window; 0: one tap */
};

/* All whole groups of two pixels.  `lines` are where the runs begin: of one pixel, the other, the
 * first ..., then NULL. */
typedef void mve_two_pixels(const struct mve_layer *layer, const int8_t *const *lines,
                            const int32_t *weights, const int32_t *factors, int8_t *out);
/* `filters` filters of a pixel; the runs begin at every second one of `lines`. */
typedef void mve_one_pixel(const struct mve_layer *layer, const int8_t *const *lines,
                           const int32_t *weights, const int32_t *factors, int8_t *out,
                           int32_t filters);
typedef mve_int32x4 mve_scale(mve_int32x4 value, mve_int32x4 multiplier, mve_int32x4 shift);

#if defined(__ARM_FEATURE_MVE)
/* Of a struct mve_layer, and on the stack. */
#define MVE_VECTORS "[r7, #32]"
#define MVE_REST_BYTES "[r7, #36]"
#define MVE_ZERO_POINT "[r7, #40]"
#define MVE_PIXEL "[r7, #44]"
#define MVE_GROUPS "[r7, #48]"
#define MVE_RUNS "[r7, #52]"
#define MVE_LINES "[sp]"
#define MVE_FACTORS "[sp, #4]"
#define MVE_END "[sp, #8]" /* of the factors, and the biases loaded ahead */
#define MVE_OUT "[sp, #96]"
#define MVE_WEIGHTS(vector) "vldrw.u32 " vector ", [r9], #16\n\t"
#define MVE_SUM(sum, data, weights) "vmladava.s8 " sum ", " data ", " weights "\n\t"
/* A vector of either pixel, with room for two other instructions. */
#define MVE_PRODUCTS(load_x, load_y, other, another)                                     \
  load_x MVE_SUM("r0", "q0", "q2") load_y MVE_SUM("r8", "q1", "q2") MVE_WEIGHTS("q3")    \
  MVE_SUM("r2", "q0", "q3") MVE_WEIGHTS("q2") MVE_SUM("r10", "q1", "q3") other           \
  MVE_SUM("r4", "q0", "q2") MVE_WEIGHTS("q3") MVE_SUM("r12", "q1", "q2")                 \
  MVE_WEIGHTS("q2") MVE_SUM("r6", "q0", "q3") another MVE_SUM("lr", "q1", "q3")
#define MVE_STEP(other, another) \
  MVE_PRODUCTS("vldrb.u8 q0, [r1], #16\n\t", "vldrb.u8 q1, [r3], #16\n\t", other, another)
#define MVE_FIND_RUN "ldrd r1, r3, [r11], #8\n\t"
#define MVE_MORE_RUNS "cmp r1, #0\n\t"
#define MVE_REST                                                        \
  "vpstt\n\tvldrbt.u8 q0, [r1]\n\tvldrbt.u8 q1, [r3]\n\t"               \
  MVE_PRODUCTS("", "", MVE_FIND_RUN, MVE_MORE_RUNS)
#define MVE_LOOP(steps, count)                                                           \
  "ldr r5, " MVE_VECTORS "\n\t"                                                    \
  "1:\n\t" steps MVE_STEP("", "subs r5, r5, #" count "\n\t") "bne 1b\n\t"
#define MVE_1 MVE_STEP(MVE_FIND_RUN, MVE_MORE_RUNS)
#define MVE_2 MVE_STEP("", "") MVE_1
#define MVE_3 MVE_STEP("", "") MVE_2
#define MVE_4 MVE_STEP("", "") MVE_3
#define MVE_BY_1 MVE_LOOP("", "1")
#define MVE_BY_2 MVE_LOOP(MVE_STEP("", ""), "2")
#define MVE_BY_3 MVE_LOOP(MVE_STEP("", "") MVE_STEP("", ""), "3")
#define MVE_DOUBLE_SCALE(value) "vqrdmulh.s32 " value ", " value ", q2\n\t"
#define MVE_DOUBLE_ROUND(value) "vqdmlah.s32 " value ", " value ", r5\n\t"
#define MVE_SINGLE_SCALE(value) "vmulh.s32 " value ", " value ", q2\n\t"
#define MVE_SINGLE_ROUND(value) ""
#define MVE_TO_LINES                                                              \
  "ldr r11, " MVE_LINES "\n\t"                                              \
  "vldrw.u32 q2, [r9, #-16]\n\tldrd r1, r3, [r11], #8\n"
/* r1 and r3 go through the data, r5 counts, r7 is the layer, r9 goes through the weights, r11
 * through the lines or the factors. */
#define MVE_TWO(runs, scale, round)                                                               \
  __asm__ volatile(                                                                               \
      "push {r4, r5, r6, r7, r8, r9, r10, r11, lr}\n\t"                                           \
      "vpush {d8, d9, d10, d11, d12, d13}\n\t"                                                    \
      "sub sp, sp, #12\n\t"                                                                       \
      "mov r7, r0\n\tmov r11, r3\n\tadd r9, r2, #16\n\t"                                          \
      "ldr r5, " MVE_GROUPS "\n\tstr r1, " MVE_LINES "\n\t"                                       \
      "add r5, r5, r5, lsl #1\n\tadd r5, r11, r5, lsl #4\n\tadd r5, r5, #16\n\t"                  \
      "ldrd r0, r2, [r11], #8\n\tldrd r4, r6, [r11], #8\n\tstr r5, " MVE_END "\n\t"              \
      "ldr r5, " MVE_REST_BYTES "\n\tvctp.8 r5\n\t"                                               \
      "ldr r5, " MVE_ZERO_POINT "\n\t"                                                            \
      "vldrw.u32 q4, [r7]\n\tvldrw.u32 q5, [r7, #16]\n\tvdup.32 q6, r5\n\t"                       \
      "mov r8, r0\n\tmov r10, r2\n\tmov r12, r4\n\tmov lr, r6\n\t"                                \
      "str r11, " MVE_FACTORS "\n\t"                                                              \
      "3:\n\t" MVE_TO_LINES                                                                       \
      "2:\n\t" runs                                                                               \
      "bne 2b\n\tldr r11, " MVE_FACTORS "\n\t"                                                    \
      "vmov q0[2], q0[0], r0, r4\n\t"                                                             \
      "vmov q0[3], q0[1], r2, r6\n\t"                                                             \
      "vldrw.u32 q2, [r11]\n\t"                                                                   \
      "vmov q1[2], q1[0], r8, r12\n\t"                                                            \
      "vmov q1[3], q1[1], r10, lr\n\t"                                                            \
      "movs r5, #1\n\t" scale("q0")                                                               \
      "vldrw.u32 q3, [r11, #16]\n\t" scale("q1")                                                  \
      "ldrd r0, r2, [r11, #32]\n\t" round("q0")                                                   \
      "ldrd r4, r6, [r11, #40]\n\t" round("q1")                                                   \
      "add r11, r11, #48\n\t"                                                                     \
      "vrshl.s32 q0, q0, q3\n\t"                                                                  \
      "ldr r3, " MVE_OUT "\n\t"                                                                   \
      "vrshl.s32 q1, q1, q3\n\t"                                                                  \
      "ldr r5, " MVE_PIXEL "\n\t"                                                                 \
      "vadd.i32 q0, q0, q6\n\t"                                                                   \
      "str r11, " MVE_FACTORS "\n\t"                                                              \
      "vadd.i32 q1, q1, q6\n\t"                                                                   \
      "mov r8, r0\n\t"                                                                            \
      "vmax.s32 q0, q0, q4\n\t"                                                                   \
      "mov r10, r2\n\t"                                                                           \
      "vmax.s32 q1, q1, q4\n\t"                                                                   \
      "mov r12, r4\n\t"                                                                           \
      "vmin.s32 q0, q0, q5\n\t"                                                                   \
      "add r5, r5, r3\n\t"                                                                        \
      "vmin.s32 q1, q1, q5\n\t"                                                                   \
      "mov lr, r6\n\t"                                                                            \
      "vstrb.32 q0, [r3], #4\n\t"                                                                 \
      "str r3, " MVE_OUT "\n\t"                                                                   \
      "vstrb.32 q1, [r5]\n\t"                                                                     \
      "ldr r5, " MVE_END "\n\t"                                                                   \
      "cmp r11, r5\n\t"                                                                           \
      "bne 3b\n\t"                                                                                \
      "add sp, sp, #12\n\t"                                                                       \
      "vpop {d8, d9, d10, d11, d12, d13}\n\t"                                                     \
      "pop {r4, r5, r6, r7, r8, r9, r10, r11, pc}")
/* One pixel.  r0 to r6 are as above, r3 is where the results go, r5 counts runs, r12 filters. */
#define MVE_ONE(scale, round)                                                                     \
  __asm__ volatile(                                                                               \
      "push {r4, r5, r6, r7, r8, r9, r10, r11, lr}\n\t"                                           \
      "push {r1}\n\t"                                                                             \
      "mov r7, r0\n\tmov r9, r2\n\tmov r11, r3\n\t"                                \
      "ldrd r3, r12, [sp, #40]\n\tldr r8, " MVE_VECTORS "\n\t"                                    \
      "ldrd r0, r2, [r11], #8\n\tldrd r4, r6, [r11], #8\n"                                        \
      "3:\n\tldr r5, " MVE_RUNS "\n\tldr r10, [sp]\n"                                                      \
      "2:\n\tldr r1, [r10], #8\n\t"                                                              \
      "wls lr, r8, 4f\n"                                                                          \
      "1:\n\tvldrb.u8 q0, [r1], #16\n\t" MVE_ONE_SUMS                                            \
      "le lr, 1b\n"                                                                               \
      "4:\n\tldr lr, " MVE_REST_BYTES "\n\t"                                                      \
      "cmp lr, #0\n\tbeq 5f\n\t"                                                                       \
      "vctp.8 lr\n\tvpst\n\tvldrbt.u8 q0, [r1]\n\t" MVE_ONE_SUMS                                  \
      "5:\n\tsubs r5, r5, #1\n\tbne 2b\n\t"                                                      \
      "vmov q0[2], q0[0], r0, r4\n\tvmov q0[3], q0[1], r2, r6\n\t"                               \
      "vldrw.u32 q2, [r11]\n\tmovs r5, #1\n\t" scale("q0")                                       \
      "vldrw.u32 q3, [r11, #16]\n\t" round("q0")                        \
      "ldrd r0, r2, [r11, #32]\n\t"                                                               \
      "vrshl.s32 q0, q0, q3\n\tldr r4, " MVE_ZERO_POINT "\n\tvldrw.u32 q2, [r7]\n\t"              \
      "vadd.i32 q0, q0, r4\n\tvldrw.u32 q3, [r7, #16]\n\t"                                        \
      "vmax.s32 q0, q0, q2\n\tldrd r4, r6, [r11, #40]\n\t"                                        \
      "vmin.s32 q0, q0, q3\n\tadd r11, r11, #48\n\t"                                              \
      "vctp.32 r12\n\tvpst\n\tvstrbt.32 q0, [r3]\n\tadds r3, r3, #4\n\t"                          \
      "subs r12, r12, #4\n\t"                                                                     \
      "bgt 3b\n\t"                                                                                \
      "add sp, sp, #4\n\t"                                                                        \
      "pop {r4, r5, r6, r7, r8, r9, r10, r11, pc}")
#define MVE_ONE_SUMS                                                                  \
  MVE_WEIGHTS("q2") MVE_SUM("r0", "q0", "q2") MVE_WEIGHTS("q3") MVE_SUM("r2", "q0", "q3") \
  MVE_WEIGHTS("q2") MVE_SUM("r4", "q0", "q2") MVE_WEIGHTS("q3") MVE_SUM("r6", "q0", "q3")
#define MVE_ONE_PIXEL(rounding, ROUNDING)                                                   \
  TVMGEN_HOT __attribute__((naked, noinline, unused)) static void mve_one_##rounding(       \
      MVE_UNUSED const struct mve_layer *layer, MVE_UNUSED const int8_t *const *lines,       \
      MVE_UNUSED const int32_t *weights, MVE_UNUSED const int32_t *factors,                  \
      MVE_UNUSED int8_t *out, MVE_UNUSED int32_t filters) {                                 \
    MVE_ONE(MVE_##ROUNDING##_SCALE, MVE_##ROUNDING##_ROUND);                                \
  }
#define MVE_TWO_PIXELS(rounding, ROUNDING, name, steps)                                     \
  TVMGEN_HOT __attribute__((naked, noinline, unused)) static void mve_two_##rounding##name( \
      MVE_UNUSED const struct mve_layer *layer, MVE_UNUSED const int8_t *const *lines,       \
      MVE_UNUSED const int32_t *weights, MVE_UNUSED const int32_t *factors,                  \
      MVE_UNUSED int8_t *out) {                                                             \
    MVE_TWO(steps, MVE_##ROUNDING##_SCALE, MVE_##ROUNDING##_ROUND);                         \
  }
#define MVE_UNUSED __attribute__((unused))
#else
MVE_INLINE void mve_pixel(const struct mve_layer *layer, const int8_t *const *lines,
                          const int32_t *weights, const int32_t *f, int8_t *out, int32_t filters,
                          mve_scale *scale) {
  for (; filters > 0; filters -= 4, f += 12, out += 4) {
    int32_t sums[4] = {f[0], f[1], f[2], f[3]};
    for (int32_t run = 0; run < layer->runs; ++run) {
      const int8_t *x = lines[2 * run];
      for (int32_t n = layer->vectors; n > 0; --n) {
        mve_dot(sums, &x, &weights);
      }
      if (layer->rest > 0) {
        mve_dot_rest(sums, x, &weights, layer->rest);
      }
    }
    const mve_int32x4 total = scale(mve_join(sums), mve_load(f + 4), mve_load(f + 8));
    mve_store(out, total, layer->zero_point, layer->low[0], layer->high[0],
              filters < 4 ? filters : 4);
  }
}

#define MVE_ONE_PIXEL(rounding, ROUNDING)                                                   \
  MVE_FUNCTION void mve_one_##rounding(                                                     \
      const struct mve_layer *layer, const int8_t *const *lines, const int32_t *weights,    \
      const int32_t *factors, int8_t *out, int32_t filters) {                               \
    mve_pixel(layer, lines, weights, factors, out, filters, mve_scale_##rounding);          \
  }
#define MVE_TWO_PIXELS(rounding, ROUNDING, name, steps)                                     \
  MVE_FUNCTION void mve_two_##rounding##name(                                               \
      const struct mve_layer *layer, const int8_t *const *lines, const int32_t *weights,    \
      const int32_t *factors, int8_t *out) {                                                \
    const int32_t filters = 4 * layer->groups;                                              \
    mve_one_##rounding(layer, lines, weights, factors, out, filters);                       \
    mve_one_##rounding(layer, lines + 1, weights, factors, out + layer->pixel, filters);    \
  }
#endif

/* Runs of one to four vectors, of a multiple of one to three, and with a rest. */
#define MVE_PIXELS(rounding, ROUNDING)                                                      \
  MVE_ONE_PIXEL(rounding, ROUNDING)                                                         \
  MVE_TWO_PIXELS(rounding, ROUNDING, _1, MVE_1)                                             \
  MVE_TWO_PIXELS(rounding, ROUNDING, _2, MVE_2)                                             \
  MVE_TWO_PIXELS(rounding, ROUNDING, _3, MVE_3)                                             \
  MVE_TWO_PIXELS(rounding, ROUNDING, _4, MVE_4)                                             \
  MVE_TWO_PIXELS(rounding, ROUNDING, _by_1, MVE_BY_1 MVE_FIND_RUN MVE_MORE_RUNS)            \
  MVE_TWO_PIXELS(rounding, ROUNDING, _by_2, MVE_BY_2 MVE_FIND_RUN MVE_MORE_RUNS)            \
  MVE_TWO_PIXELS(rounding, ROUNDING, _by_3, MVE_BY_3 MVE_FIND_RUN MVE_MORE_RUNS)            \
  MVE_TWO_PIXELS(rounding, ROUNDING, _rest, MVE_BY_1 MVE_REST)                              \
  MVE_TWO_PIXELS(rounding, ROUNDING, _only_rest, MVE_REST)

MVE_PIXELS(double, DOUBLE)
MVE_PIXELS(single, SINGLE)
