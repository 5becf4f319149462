#ifndef TVMGEN_INT8_BLOCK_H_
#define TVMGEN_INT8_BLOCK_H_

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of each input and output. */
#define TVMGEN_INT8_BLOCK_X_SIZE 32
#define TVMGEN_INT8_BLOCK_OUTPUT_SIZE 3

/* Bytes of all memory that an inference needs besides the stack, inputs and outputs included. */
#define TVMGEN_INT8_BLOCK_WORKSPACE_SIZE 64

struct tvmgen_int8_block_inputs {
  void *x; /* x: 1x4x4x2 int8 */
};

struct tvmgen_int8_block_outputs {
  void *output; /* output: 1x3 int8 */
};

/*
 * The arena.  With the macro below defined when the library is compiled, the library
 * only declares it, and the application defines it where it wants.
 */
#ifndef TVMGEN_INT8_BLOCK_WORKSPACE_ALIGNMENT
#define TVMGEN_INT8_BLOCK_WORKSPACE_ALIGNMENT 16
#endif
#define TVMGEN_INT8_BLOCK_WORKSPACE_BYTES 64
extern uint8_t tvmgen_int8_block_workspace[TVMGEN_INT8_BLOCK_WORKSPACE_BYTES];

/*
 * Points the structures at the places inside the arena where inputs and outputs lie.
 * An application that fills inputs and reads outputs there saves a copy of each.
 */
void tvmgen_int8_block_map_io(struct tvmgen_int8_block_inputs *inputs,
                              struct tvmgen_int8_block_outputs *outputs);

/* Runs one inference.  Returns 0, or -1 if a pointer is missing. */
int32_t tvmgen_int8_block_run(struct tvmgen_int8_block_inputs *inputs,
                              struct tvmgen_int8_block_outputs *outputs);

#ifdef __cplusplus
}
#endif

#endif /* TVMGEN_INT8_BLOCK_H_ */
