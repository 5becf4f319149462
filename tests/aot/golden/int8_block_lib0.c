#include "tvmgen_int8_block.h"

#ifndef TVMGEN_INT8_BLOCK_CALLER_WORKSPACE
uint8_t tvmgen_int8_block_workspace[TVMGEN_INT8_BLOCK_WORKSPACE_BYTES]
    __attribute__((aligned(TVMGEN_INT8_BLOCK_WORKSPACE_ALIGNMENT)));
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
    {tvmgen_int8_block_workspace, TVMGEN_INT8_BLOCK_WORKSPACE_BYTES},
};
static int32_t guards_written = 0;

static uint8_t guard_byte(uint32_t index) { return (uint8_t)(0xC5u ^ (index * 29u)); }

void tvmgen_int8_block_write_guards(void) {
  for (int32_t a = 0; guards_written == 0 && a < 1; ++a) {
    uint8_t *behind =
        guarded[a].array + guarded[a].bytes - TVMGEN_INT8_BLOCK_GUARD_BYTES;
    for (uint32_t i = 0; i < TVMGEN_INT8_BLOCK_GUARD_BYTES; ++i) {
      guarded[a].array[i] = guard_byte(i);
      behind[i] = guard_byte(i);
    }
  }
  guards_written = 1;
}

int32_t tvmgen_int8_block_guards_changed(const char *where) {
  tvmgen_int8_block_write_guards();
  for (int32_t a = 0; a < 1; ++a) {
    const uint8_t *behind =
        guarded[a].array + guarded[a].bytes - TVMGEN_INT8_BLOCK_GUARD_BYTES;
    for (uint32_t i = 0; i < TVMGEN_INT8_BLOCK_GUARD_BYTES; ++i) {
      if (guarded[a].array[i] != guard_byte(i) || behind[i] != guard_byte(i)) {
        guards_written = 0; /* the next run begins anew */
        TVMGEN_CHECK_FAILED("a guard around the arena was overwritten", where);
        return 1;
      }
    }
  }
  return 0;
}

int32_t tvmgen_int8_block_bad_pointer(
    const void *pointer, const void *place, uint32_t alignment) {
  const uintptr_t at = (uintptr_t)pointer;
  for (int32_t a = 0; a < 1; ++a) {
    const uintptr_t start = (uintptr_t)guarded[a].array;
    if (start % TVMGEN_INT8_BLOCK_WORKSPACE_ALIGNMENT != 0) {
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

extern const int8_t tvmgen_int8_block_conv2d_lv_weight[36];
const int8_t tvmgen_int8_block_conv2d_lv_weight[36] = {
  89, 35, 3, -59, -49, -117, -108, -123, -83, 80, 38, 105, 1, 27, 120, 59,
  34, 11, 15, 111, -57, 81, 44, -127, -27, 91, 14, -119, 68, 59, 88, -83,
  -105, 93, -122, 11,
};

extern const int32_t tvmgen_int8_block_conv2d_lv_bias[2];
const int32_t tvmgen_int8_block_conv2d_lv_bias[2] = {
  -420, -201,
};

extern const int32_t tvmgen_int8_block_conv2d_lv_multiplier[2];
const int32_t tvmgen_int8_block_conv2d_lv_multiplier[2] = {
  1073741824, 1073741824,
};

extern const int32_t tvmgen_int8_block_conv2d_lv_shift[2];
const int32_t tvmgen_int8_block_conv2d_lv_shift[2] = {
  -6, -6,
};

extern const int8_t tvmgen_int8_block_conv2d_lv1_weight[36];
const int8_t tvmgen_int8_block_conv2d_lv1_weight[36] = {
  -5, -20, -25, -120, -126, -96, -125, 44, 7, 38, -62, 29, 67, -30, -10, 127,
  78, 123, -31, 47, 115, 38, 87, 48, 52, -28, 96, -93, 20, 56, 88, 6,
  -32, -48, -20, -4,
};

extern const int32_t tvmgen_int8_block_conv2d_lv1_bias[2];
const int32_t tvmgen_int8_block_conv2d_lv1_bias[2] = {
  218, 389,
};

extern const int8_t tvmgen_int8_block_dense_gv_weight[96];
const int8_t tvmgen_int8_block_dense_gv_weight[96] = {
  -109, 111, 8, -36, 44, 18, -63, -45, 56, 24, 1, -41, 66, -28, -44, 100,
  -60, -70, 55, 31, -115, -106, -31, 85, -25, 73, -47, -66, 74, 96, -107, -113,
  44, -42, 19, -89, 92, -13, 101, 76, 52, -69, 68, -114, 18, -24, 127, -77,
  114, -104, 31, 20, 102, -51, 103, 44, 100, -77, 66, 113, -115, -34, 35, -101,
  3, 33, 67, 109, -23, -15, -7, 116, -78, 0, -115, -19, 114, 31, -38, 126,
  26, 114, -123, -10, 85, 66, -24, -1, -20, 7, -69, 73, -108, -22, -56, 60,
};

extern const int32_t tvmgen_int8_block_dense_gv_bias[3];
const int32_t tvmgen_int8_block_dense_gv_bias[3] = {
  249, 211, 424,
};

extern const int32_t tvmgen_int8_block_dense_gv_multiplier[3];
const int32_t tvmgen_int8_block_dense_gv_multiplier[3] = {
  1073741824, 1073741824, 1073741824,
};

extern const int32_t tvmgen_int8_block_dense_gv_shift[3];
const int32_t tvmgen_int8_block_dense_gv_shift[3] = {
  -6, -6, -6,
};
