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
#define TVMGEN_FLOAT32_NORMALIZED_WORKSPACE_SIZE 192

/*
 * For debugging, if the library and the application are both compiled with
 *
 *   -DTVMGEN_CHECK=1: the run function also returns -2 for a pointer that is not aligned
 *     or leads into the arena but not to its own tensor, and -3 if a step, or something
 *     since the last run, wrote over the guards before and behind an arena.  With
 *     -DTVMGEN_CHECK_FAILED=function, the application's
 *     void function(const char *what, const char *where) is called first.
 *   -DTVMGEN_PROFILE=counter: each run adds to a table what the counter, an expression
 *     of 32 bits that counts up, advanced during each step, and to another what it
 *     advanced during each operator of the steps that run several.  TVMGEN_DWT and
 *     TVMGEN_PMU are the cycle counters of Armv7-M and Armv8.1-M, which the application
 *     has to start.  -DTVMGEN_PROFILE_HEADER gives a header that the expression needs.
 */
#ifndef TVMGEN_CHECK
#define TVMGEN_CHECK 0
#endif
#if TVMGEN_CHECK
#define TVMGEN_FLOAT32_NORMALIZED_GUARD_BYTES \
  (TVMGEN_FLOAT32_NORMALIZED_WORKSPACE_ALIGNMENT > 32 \
       ? TVMGEN_FLOAT32_NORMALIZED_WORKSPACE_ALIGNMENT \
       : 32)
#else
#define TVMGEN_FLOAT32_NORMALIZED_GUARD_BYTES 0
#endif
#define TVMGEN_FLOAT32_NORMALIZED_STEPS 2
#define TVMGEN_FLOAT32_NORMALIZED_OPERATORS 0
#if TVMGEN_CHECK /* for the library itself */
void tvmgen_float32_normalized_write_guards(void);
int32_t tvmgen_float32_normalized_guards_changed(const char *where);
int32_t tvmgen_float32_normalized_bad_pointer(const void *pointer, const void *place,
                                              uint32_t alignment);
#endif
#ifdef TVMGEN_PROFILE
#define TVMGEN_DWT (*(volatile uint32_t *)0xE0001004u) /* DWT_CYCCNT */
#define TVMGEN_PMU (*(volatile uint32_t *)0xE000307Cu) /* PMU_CCNTR */
extern uint64_t tvmgen_float32_normalized_profile[TVMGEN_FLOAT32_NORMALIZED_STEPS];
#if TVMGEN_FLOAT32_NORMALIZED_OPERATORS > 0
extern uint64_t tvmgen_float32_normalized_operator_profile[TVMGEN_FLOAT32_NORMALIZED_OPERATORS];
#endif
#endif
#if TVMGEN_CHECK || defined(TVMGEN_PROFILE)
extern const char *const tvmgen_float32_normalized_step_names[TVMGEN_FLOAT32_NORMALIZED_STEPS];
#endif

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
#define TVMGEN_FLOAT32_NORMALIZED_WORKSPACE_BYTES (192 + 2 * TVMGEN_FLOAT32_NORMALIZED_GUARD_BYTES)
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
