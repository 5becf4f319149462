#ifndef TVMGEN_FLOAT32_NORMALIZED_H_
#define TVMGEN_FLOAT32_NORMALIZED_H_

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of each input and output. */
#define TVMGEN_FLOAT32_NORMALIZED_X_SIZE 128
#define TVMGEN_FLOAT32_NORMALIZED_OUTPUT_SIZE 128

/* Bytes of all memory that an inference needs besides the stack, inputs and outputs included. */
#define TVMGEN_FLOAT32_NORMALIZED_WORKSPACE_SIZE 448

struct tvmgen_float32_normalized_inputs {
  void *x; /* x: 1x4x4x2 float32 */
};

struct tvmgen_float32_normalized_outputs {
  void *output; /* output: 1x4x4x2 float32 */
};

/*
 * The arena.  With the macro below defined when the library is compiled, the library
 * only declares it, and the application defines it where it wants.
 */
#ifndef TVMGEN_FLOAT32_NORMALIZED_WORKSPACE_ALIGNMENT
#define TVMGEN_FLOAT32_NORMALIZED_WORKSPACE_ALIGNMENT 16
#endif
#define TVMGEN_FLOAT32_NORMALIZED_WORKSPACE_BYTES 448
extern uint8_t tvmgen_float32_normalized_workspace[TVMGEN_FLOAT32_NORMALIZED_WORKSPACE_BYTES];

/*
 * Points the structures at the places inside the arena where inputs and outputs lie.
 * An application that fills inputs and reads outputs there saves a copy of each.
 */
void tvmgen_float32_normalized_map_io(struct tvmgen_float32_normalized_inputs *inputs,
                                      struct tvmgen_float32_normalized_outputs *outputs);

/* Runs one inference.  Returns 0, or -1 if a pointer is missing. */
int32_t tvmgen_float32_normalized_run(struct tvmgen_float32_normalized_inputs *inputs,
                                      struct tvmgen_float32_normalized_outputs *outputs);

#ifdef __cplusplus
}
#endif

#endif /* TVMGEN_FLOAT32_NORMALIZED_H_ */
