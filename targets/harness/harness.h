/* Interfaces of the test program around a model: harness.c runs the inferences, the binding
 * (generated for each model) connects it to the model's header, and a platform does input, output
 * and measurements. */
#ifndef HARNESS_H
#define HARNESS_H

#include <stdint.h>

#ifndef HARNESS_GUARD_BYTES
#error "HARNESS_GUARD_BYTES is the size of the guards before and behind each arena"
#endif

struct harness_arena {
  uint8_t* guarded; /* guard, arena, guard */
  uint32_t bytes;   /* of the arena */
};

struct harness_tensor {
  void** address; /* a field of the model's struct of inputs or outputs */
  uint32_t bytes;
};

struct harness_measurement {
  uint32_t ticks;       /* of the platform's counter; 0 where there is none */
  uint32_t stack_bytes; /* high-water mark; 0 where it is not measured */
};

/* The binding. */
extern const struct harness_arena harness_arenas[];
extern const uint32_t harness_arena_count;
extern const struct harness_tensor harness_inputs[];
extern const uint32_t harness_input_count;
extern const struct harness_tensor harness_outputs[];
extern const uint32_t harness_output_count;
extern uint64_t* const harness_profile; /* ticks of each step in the last inference */
extern const uint32_t harness_step_count; /* 0: the model is compiled without a profile */
extern uint64_t* const harness_operator_profile; /* likewise of operators that share a step */
extern const uint32_t harness_operator_count;
void harness_set_addresses(void); /* of all inputs and outputs */
int32_t harness_run_model(void);

/* The platform.  Errors of input and output end the program. */
void platform_read(void* to, uint32_t bytes);
void platform_write(const void* from, uint32_t bytes);
int32_t platform_measure(int32_t (*run)(void), struct harness_measurement* measurement);
uint32_t platform_calibrate(void); /* ticks of a loop of a known number of instructions */

/* Reads the number of inferences and their inputs, writes results; called once. */
void harness_main(void);

#endif
