#include "tvmgen_float32_normalized.h"

#ifndef TVMGEN_FLOAT32_NORMALIZED_CALLER_WORKSPACE
uint8_t tvmgen_float32_normalized_workspace[TVMGEN_FLOAT32_NORMALIZED_WORKSPACE_BYTES]
    __attribute__((aligned(TVMGEN_FLOAT32_NORMALIZED_WORKSPACE_ALIGNMENT)));
#endif

#if TVMGEN_CHECK
#ifdef TVMGEN_CHECK_FAILED
void TVMGEN_CHECK_FAILED(const char *what, const char *where);
#else
#define TVMGEN_CHECK_FAILED(what, where) (void)(where)
#endif

static const struct {
  uint8_t *array;
  uint32_t bytes;
} guarded[1] = {
    {tvmgen_float32_normalized_workspace, TVMGEN_FLOAT32_NORMALIZED_WORKSPACE_BYTES},
};
static int32_t guards_written = 0;

static uint8_t guard_byte(uint32_t index) { return (uint8_t)(0xC5u ^ (index * 29u)); }

void tvmgen_float32_normalized_write_guards(void) {
  for (int32_t a = 0; guards_written == 0 && a < 1; ++a) {
    uint8_t *behind =
        guarded[a].array + guarded[a].bytes - TVMGEN_FLOAT32_NORMALIZED_GUARD_BYTES;
    for (uint32_t i = 0; i < TVMGEN_FLOAT32_NORMALIZED_GUARD_BYTES; ++i) {
      guarded[a].array[i] = guard_byte(i);
      behind[i] = guard_byte(i);
    }
  }
  guards_written = 1;
}

int32_t tvmgen_float32_normalized_guards_changed(const char *where) {
  tvmgen_float32_normalized_write_guards();
  for (int32_t a = 0; a < 1; ++a) {
    const uint8_t *behind =
        guarded[a].array + guarded[a].bytes - TVMGEN_FLOAT32_NORMALIZED_GUARD_BYTES;
    for (uint32_t i = 0; i < TVMGEN_FLOAT32_NORMALIZED_GUARD_BYTES; ++i) {
      if (guarded[a].array[i] != guard_byte(i) || behind[i] != guard_byte(i)) {
        guards_written = 0; /* the next run begins anew */
        TVMGEN_CHECK_FAILED("a guard around the arena was overwritten", where);
        return 1;
      }
    }
  }
  return 0;
}

int32_t tvmgen_float32_normalized_bad_pointer(
    const void *pointer, const void *place, uint32_t alignment) {
  const uintptr_t at = (uintptr_t)pointer;
  for (int32_t a = 0; a < 1; ++a) {
    const uintptr_t start = (uintptr_t)guarded[a].array;
    if (start % TVMGEN_FLOAT32_NORMALIZED_WORKSPACE_ALIGNMENT != 0) {
      TVMGEN_CHECK_FAILED("the arena is not aligned", "arguments");
      return 1;
    }
    if (pointer != place && at >= start && at - start < guarded[a].bytes) {
      TVMGEN_CHECK_FAILED("a pointer leads into the arena, but not to its tensor", "arguments");
      return 1;
    }
  }
  if (at % alignment != 0) {
    TVMGEN_CHECK_FAILED("a pointer is not aligned", "arguments");
    return 1;
  }
  return 0;
}
#endif

extern const float tvmgen_float32_normalized_conv2d_lv_weight[36];
const float tvmgen_float32_normalized_conv2d_lv_weight[36] = {
  0.349999994f, 0.819999993f, 0.330000013f, -1.29999995f, 0.910000026f,
  0.449999988f, -0.540000021f, 0.579999983f, 0.360000014f, 0.289999992f,
  0.0299999993f, 0.550000012f, -0.74000001f, -0.159999996f, -0.479999989f,
  0.600000024f, 0.0399999991f, -0.289999992f, -0.779999971f, -0.25999999f,
  0.00999999978f, -0.280000001f, 1.28999996f, 1.00999999f, -2.71000004f,
  -1.88999999f, -0.170000002f, -0.419999987f, 0.209999993f, 0.219999999f,
  2.11999989f, -1.11000001f, -0.379999995f, 2.03999996f, 0.649999976f,
  0.660000026f,
};

extern const float tvmgen_float32_normalized_conv2d_lv_bias[2];
const float tvmgen_float32_normalized_conv2d_lv_bias[2] = {
  -0.50999999f, -1.64999998f,
};

extern const float tvmgen_float32_normalized_layer_norm_gv_weight[2];
const float tvmgen_float32_normalized_layer_norm_gv_weight[2] = {
  0.170000002f, 0.109999999f,
};

extern const float tvmgen_float32_normalized_layer_norm_gv_bias[2];
const float tvmgen_float32_normalized_layer_norm_gv_bias[2] = {
  -1.23000002f, -0.680000007f,
};
