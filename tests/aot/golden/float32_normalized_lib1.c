/* gcc before 14 may take an access to the arena for one through a null pointer (its bug 110702). */
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 14
#pragma GCC push_options
#pragma GCC optimize("no-delete-null-pointer-checks")
#endif

#include "tvmgen_float32_normalized.h"

#include <math.h>
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
typedef float TVMGEN_MAY_ALIAS tvmgen_float32;

extern const float tvmgen_float32_normalized_conv2d_lv_weight[36];
extern const float tvmgen_float32_normalized_conv2d_lv_bias[2];
extern const float tvmgen_float32_normalized_layer_norm_gv_weight[2];
extern const float tvmgen_float32_normalized_layer_norm_gv_bias[2];

/* Checks and a profile of the steps, if they are compiled in: see the header. */
#if TVMGEN_CHECK || defined(TVMGEN_PROFILE)
const char *const tvmgen_float32_normalized_step_names[TVMGEN_FLOAT32_NORMALIZED_STEPS] = {
    "step_0_lv",
    "step_1_gv",
};
#endif
#if TVMGEN_CHECK
#define tvmgen_float32_normalized_workspace \
  (tvmgen_float32_normalized_workspace + TVMGEN_FLOAT32_NORMALIZED_GUARD_BYTES)
#define TVMGEN_CHECK_GUARDS(number) \
  if (tvmgen_float32_normalized_guards_changed( \
          tvmgen_float32_normalized_step_names[number]) != 0) { \
    return -3; \
  }
#else
#define TVMGEN_CHECK_GUARDS(number)
#endif
#ifdef TVMGEN_PROFILE
#ifdef TVMGEN_PROFILE_HEADER
#include TVMGEN_PROFILE_HEADER
#endif
uint64_t tvmgen_float32_normalized_profile[TVMGEN_FLOAT32_NORMALIZED_STEPS];
static uint32_t step_began;
#define TVMGEN_BEGIN(number) \
  do { \
    step_began = (uint32_t)(TVMGEN_PROFILE); \
  } while (0)
#define TVMGEN_ADD_TICKS(number) \
  tvmgen_float32_normalized_profile[number] += (uint32_t)(TVMGEN_PROFILE) - step_began
#else
#define TVMGEN_BEGIN(number) (void)0
#define TVMGEN_ADD_TICKS(number) (void)0
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

/* conv2d: 1x4x4x2 float32, 2x3x3x2 float32 -> 1x4x4x2 float32 */
TVMGEN_HOT
static void conv2d_0(int32_t row, const tvmgen_float32 *data, int32_t data_rows,
    const tvmgen_float32 *weight, const tvmgen_float32 *bias, tvmgen_float32 *out) {
  float acc;
  int32_t start;
  for (int32_t ow = 0; ow < 4; ++ow) {
    for (int32_t oc = 0; oc < 2; ++oc) {
      acc = bias[oc];
      int32_t cse_v3 = ow * 2;
      for (int32_t kh = 0; kh < 3; ++kh) {
        int32_t cse_v1 = row + kh;
        int32_t cse_v5 = cse_v1 - 1;
        if ((1 <= cse_v1) && (cse_v1 < 5)) {
          start = (cse_v5 % data_rows) * 8;
          for (int32_t kw = 0; kw < 3; ++kw) {
            int32_t cse_v2 = ow + kw;
            if ((1 <= cse_v2) && (cse_v2 < 5)) {
              for (int32_t ic = 0; ic < 2; ++ic) {
                int32_t cse_v4 = kw * 2;
                acc = acc + (data[(((cse_v3 + cse_v4) + ic) + start) - 2]
                    * weight[(((oc * 18) + (kh * 6)) + cse_v4) + ic]);
              }
            }
          }
        }
      }
      out[cse_v3 + oc] = acc;
    }
  }
}

/* layer_norm: 1x4x4x2 float32, 2 float32 -> 1x4x4x2 float32 */
TVMGEN_HOT
static void layer_norm_0(int32_t row, const tvmgen_float32 *data, int32_t data_rows,
    const tvmgen_float32 *weight, const tvmgen_float32 *bias, tvmgen_float32 *out) {
  float mean;
  float scale;
  float difference;
  for (int32_t p = 0; p < 4; ++p) {
    mean = 0.0f;
    int32_t cse_v1 = p * 2;
    int32_t cse_v2 = ((row % data_rows) * 8) + cse_v1;
    for (int32_t c = 0; c < 2; ++c) {
      mean = mean + data[cse_v2 + c];
    }
    mean = mean * 0.5f;
    scale = 0.0f;
    for (int32_t c_1 = 0; c_1 < 2; ++c_1) {
      difference = data[cse_v2 + c_1] - mean;
      scale = scale + (difference * difference);
    }
    scale = 1.0f / sqrtf((scale * 0.5f) + 1e-05f);
    for (int32_t c_2 = 0; c_2 < 2; ++c_2) {
      difference = data[cse_v2 + c_2] - mean;
      out[cse_v1 + c_2] = ((difference * scale) * weight[c_2]) + bias[c_2];
    }
  }
}

/*
 * lv
 *   conv2d_0: x (1x4x4x2 float32) -> lv (1x4x4x2 float32)
 */
TVMGEN_HOT
static void step_0_lv(void) {
  for (int32_t row_0 = 0; row_0 < 4; ++row_0) {
    conv2d_0(row_0, (const tvmgen_float32 *)(tvmgen_float32_normalized_workspace + 64), 4,
        tvmgen_float32_normalized_conv2d_lv_weight, tvmgen_float32_normalized_conv2d_lv_bias,
        (tvmgen_float32 *)(tvmgen_float32_normalized_workspace + row_0 * 32));
  }
}

/*
 * gv
 *   layer_norm_0: lv (1x4x4x2 float32) -> gv (1x4x4x2 float32)
 */
TVMGEN_HOT
static void step_1_gv(void) {
  for (int32_t row_0 = 0; row_0 < 4; ++row_0) {
    layer_norm_0(row_0, (const tvmgen_float32 *)tvmgen_float32_normalized_workspace, 4,
        tvmgen_float32_normalized_layer_norm_gv_weight,
        tvmgen_float32_normalized_layer_norm_gv_bias,
        (tvmgen_float32 *)(tvmgen_float32_normalized_workspace + row_0 * 32));
  }
}

void tvmgen_float32_normalized_map_io(struct tvmgen_float32_normalized_inputs *inputs,
    struct tvmgen_float32_normalized_outputs *outputs) {
  inputs->x = tvmgen_float32_normalized_workspace + 64;
  outputs->output = tvmgen_float32_normalized_workspace;
#if TVMGEN_CHECK
  tvmgen_float32_normalized_write_guards();
#endif
}

TVMGEN_HOT
int32_t tvmgen_float32_normalized_run(struct tvmgen_float32_normalized_inputs *inputs,
    struct tvmgen_float32_normalized_outputs *outputs) {
#if TVMGEN_CHECK
  if (inputs == NULL || outputs == NULL) {
    return -1;
  }
  if (tvmgen_float32_normalized_bad_pointer(inputs->x, tvmgen_float32_normalized_workspace + 64, 1)
      != 0 ||
      tvmgen_float32_normalized_bad_pointer(outputs->output, tvmgen_float32_normalized_workspace, 1)
          != 0) {
    return -2;
  }
  if (tvmgen_float32_normalized_guards_changed("before the run") != 0) {
    return -3;
  }
#endif
  if (inputs->x == NULL || outputs->output == NULL) {
    return -1;
  }
  if (inputs->x != tvmgen_float32_normalized_workspace + 64) {
    (void)memcpy(tvmgen_float32_normalized_workspace + 64, inputs->x, 128);
  }
  TVMGEN_BEGIN(0);
  step_0_lv();
  TVMGEN_END(0);
  TVMGEN_BEGIN(1);
  step_1_gv();
  TVMGEN_END(1);
  if (outputs->output != tvmgen_float32_normalized_workspace) {
    (void)memcpy(outputs->output, tvmgen_float32_normalized_workspace, 128);
  }
  return 0;
}

#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 14
#pragma GCC pop_options
#endif
