/* gcc before 14 may take an access to the arena for one through a null pointer (its bug 110702). */
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 14
#pragma GCC push_options
#pragma GCC optimize("no-delete-null-pointer-checks")
#endif

#include "tvmgen_int8_block.h"

#include <stddef.h>
#include <string.h>

/*
 * The arena holds tensors of different types one after the other in the same bytes.  These types
 * tell the compiler that pointers to them may point at the same memory.
 */
#if defined(__GNUC__)
#define TVMGEN_MAY_ALIAS __attribute__((may_alias))
#else
#define TVMGEN_MAY_ALIAS
#endif
typedef int32_t TVMGEN_MAY_ALIAS tvmgen_int32;
typedef int8_t TVMGEN_MAY_ALIAS tvmgen_int8;

extern const int8_t tvmgen_int8_block_conv2d_lv_weight[36];
extern const int32_t tvmgen_int8_block_conv2d_lv_bias[2];
extern const int32_t tvmgen_int8_block_conv2d_lv_multiplier[2];
extern const int32_t tvmgen_int8_block_conv2d_lv_shift[2];
extern const int8_t tvmgen_int8_block_conv2d_lv1_weight[36];
extern const int32_t tvmgen_int8_block_conv2d_lv1_bias[2];
extern const int8_t tvmgen_int8_block_dense_gv_weight[96];
extern const int32_t tvmgen_int8_block_dense_gv_bias[3];
extern const int32_t tvmgen_int8_block_dense_gv_multiplier[3];
extern const int32_t tvmgen_int8_block_dense_gv_shift[3];

/* Checks and a profile of the steps, if they are compiled in: see the header. */
#if TVMGEN_CHECK || defined(TVMGEN_PROFILE)
const char *const tvmgen_int8_block_step_names[TVMGEN_INT8_BLOCK_STEPS] = {
    "step_0_stream_lv2",
    "step_1_gv",
};
#endif
#if TVMGEN_CHECK
#define tvmgen_int8_block_workspace \
  (tvmgen_int8_block_workspace + TVMGEN_INT8_BLOCK_GUARD_BYTES)
#define TVMGEN_CHECK_GUARDS(number) \
  if (tvmgen_int8_block_guards_changed( \
          tvmgen_int8_block_step_names[number]) != 0) { \
    return -3; \
  }
#else
#define TVMGEN_CHECK_GUARDS(number)
#endif
#ifdef TVMGEN_PROFILE
#ifdef TVMGEN_PROFILE_HEADER
#include TVMGEN_PROFILE_HEADER
#endif
uint64_t tvmgen_int8_block_profile[TVMGEN_INT8_BLOCK_STEPS];
static uint32_t step_began;
uint64_t tvmgen_int8_block_operator_profile[TVMGEN_INT8_BLOCK_OPERATORS];
static uint32_t lap_began;
#define TVMGEN_LAP(number) \
  do { \
    const uint32_t lap_ended = (uint32_t)(TVMGEN_PROFILE); \
    tvmgen_int8_block_operator_profile[number] += (uint32_t)(lap_ended - lap_began); \
    lap_began = lap_ended; \
  } while (0)
#define TVMGEN_BEGIN(number) \
  do { \
    step_began = (uint32_t)(TVMGEN_PROFILE); \
    lap_began = step_began; \
  } while (0)
#define TVMGEN_ADD_TICKS(number) \
  tvmgen_int8_block_profile[number] += (uint32_t)(TVMGEN_PROFILE) - step_began
#else
#define TVMGEN_BEGIN(number) (void)0
#define TVMGEN_ADD_TICKS(number) (void)0
#define TVMGEN_LAP(number) (void)0
#endif
#define TVMGEN_END(number) \
  do { \
    TVMGEN_ADD_TICKS(number); \
    TVMGEN_CHECK_GUARDS(number) \
  } while (0)

/*
 * Stands in front of every function here: nothing, unless the build says in which section they lie,
 *
 *     -DTVMGEN_HOT='__attribute__((section(".itcm")))'
 */
#ifndef TVMGEN_HOT
#define TVMGEN_HOT
#endif

/* conv2d: 1x4x4x2 int8, 2x3x3x2 int8 -> 1x4x4x2 int8 */
TVMGEN_HOT
static void conv2d_0(int32_t row, const tvmgen_int8 *data, int32_t data_rows,
    const tvmgen_int8 *weight, const tvmgen_int32 *bias, const tvmgen_int32 *multiplier,
    const tvmgen_int32 *shift, tvmgen_int8 *out) {
  int32_t acc;
  int32_t start;
  for (int32_t ow = 0; ow < 4; ++ow) {
    for (int32_t oc = 0; oc < 2; ++oc) {
      acc = bias[oc];
      int32_t cse_v3 = ow * 2;
      for (int32_t kh = 0; kh < 3; ++kh) {
        int32_t cse_v1 = row + kh;
        int32_t cse_v6 = cse_v1 - 1;
        if ((1 <= cse_v1) && (cse_v1 < 5)) {
          start = (cse_v6 % data_rows) * 8;
          for (int32_t kw = 0; kw < 3; ++kw) {
            int32_t cse_v2 = ow + kw;
            if ((1 <= cse_v2) && (cse_v2 < 5)) {
              for (int32_t ic = 0; ic < 2; ++ic) {
                int32_t cse_v4 = kw * 2;
                acc = acc + (((int32_t)data[(((cse_v3 + cse_v4) + ic) + start) - 2])
                    * ((int32_t)weight[(((oc * 18) + (kh * 6)) + cse_v4) + ic]));
              }
            }
          }
        }
      }
      int32_t v_ = shift[oc];
      int32_t v__1 = shift[oc];
      int64_t high = (((int64_t)acc * (int64_t)multiplier[oc])
          + ((int64_t)1 << ((int64_t)30 - ((int64_t)(v_ > 0 ? v_ : 0)))))
          >> ((int64_t)31 - ((int64_t)(v__1 > 0 ? v__1 : 0)));
      int32_t v__2 = 0 - shift[oc];
      int32_t right = v__2 > 0 ? v__2 : 0;
      int64_t cse_v5 = (int64_t)right;
      int64_t cse_v7 = ((int64_t)1 << cse_v5) >> (int64_t)1;
      int64_t v__3 = high >> (int64_t)63;
      int64_t v__4 = (int64_t)0 - cse_v7;
      int32_t cse_v8 = (int32_t)((((v__3 > v__4 ? v__3 : v__4) + high) + cse_v7) >> cse_v5);
      int32_t v__5 = cse_v8 > -128 ? cse_v8 : -128;
      out[cse_v3 + oc] = (int8_t)(v__5 < 127 ? v__5 : 127);
    }
  }
}

/* add: 1x4x4x2 int8, 1x4x4x2 int8 -> 1x4x4x2 int8 */
TVMGEN_HOT
static void add_0(int32_t row, const tvmgen_int8 *a, int32_t a_rows, const tvmgen_int8 *b,
    int32_t b_rows, tvmgen_int8 *out) {
  int32_t scaled_a;
  int32_t scaled_b;
  for (int32_t k = 0; k < 8; ++k) {
    int64_t high = ((((int64_t)((int32_t)a[((row % a_rows) * 8) + k])) * INT64_C(1125899906842624))
        + (int64_t)1073741824) >> (int64_t)31;
    int64_t v_ = high >> (int64_t)63;
    int64_t v__1 = (int64_t)0;
    scaled_a = (int32_t)((v_ > v__1 ? v_ : v__1) + high);
    int64_t high_1 = ((((int64_t)((int32_t)b[((row % b_rows) * 8) + k]))
        * INT64_C(1125899906842624)) + (int64_t)1073741824) >> (int64_t)31;
    int64_t v__2 = high_1 >> (int64_t)63;
    scaled_b = (int32_t)((v__2 > v__1 ? v__2 : v__1) + high_1);
    int64_t high_2 = ((((int64_t)scaled_a * (int64_t)1073741824)
        + ((int64_t)scaled_b * (int64_t)1073741824)) + (int64_t)1073741824) >> (int64_t)31;
    int64_t v__3 = high_2 >> (int64_t)63;
    int64_t v__4 = (int64_t)-131072;
    int32_t v__5 = (int32_t)((((v__3 > v__4 ? v__3 : v__4) + high_2) + (int64_t)131072)
        >> (int64_t)18);
    int32_t v__6 = v__5 > -128 ? v__5 : -128;
    out[k] = (int8_t)(v__6 < 127 ? v__6 : 127);
  }
}

/* dense: 1x32 int8, 3x32 int8 -> 1x3 int8 */
TVMGEN_HOT
static void dense_0(int32_t row, const tvmgen_int8 *data, int32_t data_rows,
    const tvmgen_int8 *weight, const tvmgen_int32 *bias, const tvmgen_int32 *multiplier,
    const tvmgen_int32 *shift, tvmgen_int8 *out) {
  int32_t acc;
  for (int32_t n = 0; n < 3; ++n) {
    acc = bias[n];
    for (int32_t k = 0; k < 32; ++k) {
      acc = acc + (((int32_t)data[((row % data_rows) * 32) + k]) * ((int32_t)weight[(n * 32) + k]));
    }
    int32_t v_ = shift[n];
    int32_t v__1 = shift[n];
    int64_t high = (((int64_t)acc * (int64_t)multiplier[n])
        + ((int64_t)1 << ((int64_t)30 - ((int64_t)(v_ > 0 ? v_ : 0)))))
        >> ((int64_t)31 - ((int64_t)(v__1 > 0 ? v__1 : 0)));
    int32_t v__2 = 0 - shift[n];
    int32_t right = v__2 > 0 ? v__2 : 0;
    int64_t cse_v1 = (int64_t)right;
    int64_t cse_v2 = ((int64_t)1 << cse_v1) >> (int64_t)1;
    int64_t v__3 = high >> (int64_t)63;
    int64_t v__4 = (int64_t)0 - cse_v2;
    int32_t cse_v3 = (int32_t)((((v__3 > v__4 ? v__3 : v__4) + high) + cse_v2) >> cse_v1);
    int32_t v__5 = cse_v3 > -128 ? cse_v3 : -128;
    out[n] = (int8_t)(v__5 < 127 ? v__5 : 127);
  }
}

/*
 * stream_lv2
 *   conv2d_0: x (1x4x4x2 int8) -> lv (1x4x4x2 int8)
 *   conv2d_0: lv (1x4x4x2 int8) -> lv1 (1x4x4x2 int8)
 *   add_0: lv1 (1x4x4x2 int8), x (1x4x4x2 int8) -> lv2 (1x4x4x2 int8)
 */
TVMGEN_HOT
static void step_0_stream_lv2(void) {
  int32_t row_0 = 0;
  int32_t row_1 = 0;
  for (int32_t row_2 = 0; row_2 < 4; ++row_2) {
    while (row_1 < row_2 + 1) {
      while (row_0 < (row_1 + 2 < 4 ? row_1 + 2 : 4)) {
        conv2d_0(row_0, (const tvmgen_int8 *)tvmgen_int8_block_workspace, 4,
            tvmgen_int8_block_conv2d_lv_weight, tvmgen_int8_block_conv2d_lv_bias,
            tvmgen_int8_block_conv2d_lv_multiplier, tvmgen_int8_block_conv2d_lv_shift,
            (tvmgen_int8 *)(tvmgen_int8_block_workspace + 32 + row_0 % 3 * 8));
        TVMGEN_LAP(0);
        ++row_0;
      }
      conv2d_0(row_1, (const tvmgen_int8 *)(tvmgen_int8_block_workspace + 32), 3,
          tvmgen_int8_block_conv2d_lv1_weight, tvmgen_int8_block_conv2d_lv1_bias,
          tvmgen_int8_block_conv2d_lv_multiplier, tvmgen_int8_block_conv2d_lv_shift,
          (tvmgen_int8 *)(tvmgen_int8_block_workspace + 56));
      TVMGEN_LAP(1);
      ++row_1;
    }
    add_0(row_2, (const tvmgen_int8 *)(tvmgen_int8_block_workspace + 56), 1,
        (const tvmgen_int8 *)tvmgen_int8_block_workspace, 4,
        (tvmgen_int8 *)(tvmgen_int8_block_workspace + row_2 * 8));
    TVMGEN_LAP(2);
  }
}

/*
 * gv
 *   dense_0: lv3 (1x32 int8) -> gv (1x3 int8)
 */
TVMGEN_HOT
static void step_1_gv(void) {
  dense_0(0, (const tvmgen_int8 *)tvmgen_int8_block_workspace, 1, tvmgen_int8_block_dense_gv_weight,
      tvmgen_int8_block_dense_gv_bias, tvmgen_int8_block_dense_gv_multiplier,
      tvmgen_int8_block_dense_gv_shift, (tvmgen_int8 *)(tvmgen_int8_block_workspace + 32));
}

void tvmgen_int8_block_map_io(struct tvmgen_int8_block_inputs *inputs,
    struct tvmgen_int8_block_outputs *outputs) {
  inputs->x = tvmgen_int8_block_workspace;
  outputs->output = tvmgen_int8_block_workspace + 32;
#if TVMGEN_CHECK
  tvmgen_int8_block_write_guards();
#endif
}

TVMGEN_HOT
int32_t tvmgen_int8_block_run(struct tvmgen_int8_block_inputs *inputs,
    struct tvmgen_int8_block_outputs *outputs) {
#if TVMGEN_CHECK
  if (inputs == NULL || outputs == NULL) {
    return -1;
  }
  if (tvmgen_int8_block_bad_pointer(inputs->x, tvmgen_int8_block_workspace, 1) != 0 ||
      tvmgen_int8_block_bad_pointer(outputs->output, tvmgen_int8_block_workspace + 32, 1) != 0) {
    return -2;
  }
  if (tvmgen_int8_block_guards_changed("before the run") != 0) {
    return -3;
  }
#endif
  if (inputs->x == NULL || outputs->output == NULL) {
    return -1;
  }
  if (inputs->x != tvmgen_int8_block_workspace) {
    (void)memcpy(tvmgen_int8_block_workspace, inputs->x, 32);
  }
  TVMGEN_BEGIN(0);
  step_0_stream_lv2();
  TVMGEN_END(0);
  TVMGEN_BEGIN(1);
  step_1_gv();
  TVMGEN_END(1);
  if (outputs->output != tvmgen_int8_block_workspace + 32) {
    (void)memcpy(outputs->output, tvmgen_int8_block_workspace + 32, 3);
  }
  return 0;
}

#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 14
#pragma GCC pop_options
#endif
