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
typedef int8_t TVMGEN_MAY_ALIAS tvmgen_int8;

extern const float tvmgen_float32_normalized_conv2d_lv_weight[36];
extern const float tvmgen_float32_normalized_conv2d_lv_bias[2];
extern const float tvmgen_float32_normalized_layer_norm_gv_B[2];
extern const float tvmgen_float32_normalized_layer_norm_gv_C[2];

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
  step_began = (uint32_t)(TVMGEN_PROFILE)
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

/* conv2d: 1x4x4x2 float32, 2x3x3x2 float32 -> 1x4x4x2 float32 */
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
static void layer_norm_0(const tvmgen_float32 *operand0, const tvmgen_float32 *B,
    const tvmgen_float32 *C, tvmgen_float32 *T_layer_norm, tvmgen_int8 *scratch) {
  tvmgen_float32 *operand0_sum = (tvmgen_float32 *)&scratch[0];
  tvmgen_float32 *operand0_mean = (tvmgen_float32 *)&scratch[64];
  tvmgen_float32 *operand0_var_sum = (tvmgen_float32 *)&scratch[128];
  for (int32_t ax1 = 0; ax1 < 4; ++ax1) {
    for (int32_t ax2 = 0; ax2 < 4; ++ax2) {
      for (int32_t k3 = 0; k3 < 2; ++k3) {
        int32_t cse_v1 = (ax1 * 4) + ax2;
        if (k3 == 0) {
          operand0_sum[cse_v1] = 0.0f;
        }
        operand0_sum[cse_v1] = operand0_sum[cse_v1] + operand0[((ax1 * 8) + (ax2 * 2)) + k3];
      }
    }
  }
  for (int32_t ax1_1 = 0; ax1_1 < 4; ++ax1_1) {
    for (int32_t ax2_1 = 0; ax2_1 < 4; ++ax2_1) {
      int32_t cse_v2 = (ax1_1 * 4) + ax2_1;
      operand0_mean[cse_v2] = operand0_sum[cse_v2] / 2.0f;
    }
  }
  for (int32_t ax1_2 = 0; ax1_2 < 4; ++ax1_2) {
    for (int32_t ax2_2 = 0; ax2_2 < 4; ++ax2_2) {
      for (int32_t k3_1 = 0; k3_1 < 2; ++k3_1) {
        int32_t cse_v3 = (ax1_2 * 4) + ax2_2;
        if (k3_1 == 0) {
          operand0_var_sum[cse_v3] = 0.0f;
        }
        int32_t cse_v5 = ((ax1_2 * 8) + (ax2_2 * 2)) + k3_1;
        operand0_var_sum[cse_v3] = operand0_var_sum[cse_v3]
            + ((operand0[cse_v5] - operand0_mean[cse_v3])
            * (operand0[cse_v5] - operand0_mean[cse_v3]));
      }
    }
  }
  for (int32_t ax1_3 = 0; ax1_3 < 4; ++ax1_3) {
    for (int32_t ax2_3 = 0; ax2_3 < 4; ++ax2_3) {
      for (int32_t ax3 = 0; ax3 < 2; ++ax3) {
        int32_t cse_v4 = (ax1_3 * 4) + ax2_3;
        int32_t cse_v6 = ((ax1_3 * 8) + (ax2_3 * 2)) + ax3;
        T_layer_norm[cse_v6] = (((operand0[cse_v6] - operand0_mean[cse_v4])
            * (1.0f / sqrtf((operand0_var_sum[cse_v4] / 2.0f) + 1e-05f))) * B[ax3]) + C[ax3];
      }
    }
  }
}

/*
 * lv
 *   conv2d_0: x (1x4x4x2 float32) -> lv (1x4x4x2 float32)
 */
static void step_0_lv(void) {
  for (int32_t row_0 = 0; row_0 < 4; ++row_0) {
    conv2d_0(row_0, (const tvmgen_float32 *)tvmgen_float32_normalized_workspace, 4,
        tvmgen_float32_normalized_conv2d_lv_weight, tvmgen_float32_normalized_conv2d_lv_bias,
        (tvmgen_float32 *)(tvmgen_float32_normalized_workspace + 192 + row_0 * 32));
  }
}

/*
 * gv
 *   layer_norm_0: lv (1x4x4x2 float32) -> gv (1x4x4x2 float32)
 */
static void step_1_gv(void) {
  layer_norm_0((const tvmgen_float32 *)(tvmgen_float32_normalized_workspace + 192),
      tvmgen_float32_normalized_layer_norm_gv_B, tvmgen_float32_normalized_layer_norm_gv_C,
      (tvmgen_float32 *)(tvmgen_float32_normalized_workspace + 320),
      (tvmgen_int8 *)tvmgen_float32_normalized_workspace);
}

void tvmgen_float32_normalized_map_io(struct tvmgen_float32_normalized_inputs *inputs,
    struct tvmgen_float32_normalized_outputs *outputs) {
  inputs->x = tvmgen_float32_normalized_workspace;
  outputs->output = tvmgen_float32_normalized_workspace + 320;
#if TVMGEN_CHECK
  tvmgen_float32_normalized_write_guards();
#endif
}

int32_t tvmgen_float32_normalized_run(struct tvmgen_float32_normalized_inputs *inputs,
    struct tvmgen_float32_normalized_outputs *outputs) {
#if TVMGEN_CHECK
  if (inputs == NULL || outputs == NULL) {
    return -1;
  }
  if (tvmgen_float32_normalized_bad_pointer(inputs->x, tvmgen_float32_normalized_workspace, 1)
      != 0 ||
      tvmgen_float32_normalized_bad_pointer(outputs->output, tvmgen_float32_normalized_workspace
          + 320, 1) != 0) {
    return -2;
  }
  if (tvmgen_float32_normalized_guards_changed("before the run") != 0) {
    return -3;
  }
#endif
  if (inputs->x == NULL || outputs->output == NULL) {
    return -1;
  }
  if (inputs->x != tvmgen_float32_normalized_workspace) {
    (void)memcpy(tvmgen_float32_normalized_workspace, inputs->x, 128);
  }
  TVMGEN_BEGIN(0);
  step_0_lv();
  TVMGEN_END(0);
  TVMGEN_BEGIN(1);
  step_1_gv();
  TVMGEN_END(1);
  if (outputs->output != tvmgen_float32_normalized_workspace + 320) {
    (void)memcpy(outputs->output, tvmgen_float32_normalized_workspace + 320, 128);
  }
  return 0;
}
