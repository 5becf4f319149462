/* Runs a model as often as there are inputs and watches the memory around its arenas. */
#include "harness.h"

#ifdef HARNESS_ASAN
#include <stddef.h>
/* Of the sanitizer's run-time library, declared here because its header is often not installed. */
void __asan_poison_memory_region(const volatile void* address, size_t bytes);
#endif

#ifndef HARNESS_FILL
#error "HARNESS_FILL is the byte that arenas hold before the first inference"
#endif

/* Differs from byte to byte, so that a copied or shifted guard is seen as well. */
static uint8_t guard_byte(uint32_t index) { return (uint8_t)(0xC3u ^ (index * 29u)); }

static void fill_arena(const struct harness_arena* arena) {
  for (uint32_t i = 0; i < HARNESS_GUARD_BYTES; i++) {
    arena->guarded[i] = guard_byte(i);
    arena->guarded[HARNESS_GUARD_BYTES + arena->bytes + i] = guard_byte(i);
  }
  for (uint32_t i = 0; i < arena->bytes; i++) {
    arena->guarded[HARNESS_GUARD_BYTES + i] = HARNESS_FILL;
  }
#ifdef HARNESS_ASAN
  /* The sanitizer reports a touched guard with the line of code; check_guards reads none. */
  __asan_poison_memory_region(arena->guarded, HARNESS_GUARD_BYTES);
  __asan_poison_memory_region(arena->guarded + HARNESS_GUARD_BYTES + arena->bytes,
                              HARNESS_GUARD_BYTES);
#endif
}

struct guard_report {
  uint32_t arena; /* number of the arena, from 1; 0: all guards are intact */
  int32_t offset; /* of the changed byte next to the arena, from the arena's start */
};

static struct guard_report check_guards(void) {
  struct guard_report report = {0, 0};
#ifndef HARNESS_ASAN
  for (uint32_t a = 0; a < harness_arena_count; a++) {
    const struct harness_arena* arena = &harness_arenas[a];
    const uint8_t* behind = arena->guarded + HARNESS_GUARD_BYTES + arena->bytes;
    for (uint32_t i = 0; i < HARNESS_GUARD_BYTES; i++) {
      if (behind[i] != guard_byte(i)) {
        report.arena = a + 1;
        report.offset = (int32_t)(arena->bytes + i);
        return report;
      }
      const uint32_t before = HARNESS_GUARD_BYTES - 1 - i;
      if (arena->guarded[before] != guard_byte(before)) {
        report.arena = a + 1;
        report.offset = -1 - (int32_t)i;
        return report;
      }
    }
  }
#endif
  return report;
}

void harness_main(void) {
  uint32_t inferences;
  platform_read(&inferences, sizeof inferences);
  const uint32_t calibration = platform_calibrate();
  platform_write(&calibration, sizeof calibration);
  for (uint32_t a = 0; a < harness_arena_count; a++) {
    fill_arena(&harness_arenas[a]);
  }
  for (uint32_t n = 0; n < inferences; n++) {
    harness_set_addresses();
    for (uint32_t i = 0; i < harness_input_count; i++) {
      platform_read(*harness_inputs[i].address, harness_inputs[i].bytes);
    }
    for (uint32_t i = 0; i < harness_step_count; i++) {
      harness_profile[i] = 0;
    }
    for (uint32_t i = 0; i < harness_operator_count; i++) {
      harness_operator_profile[i] = 0;
    }
    struct harness_measurement measurement = {0, 0};
    const int32_t status = platform_measure(harness_run_model, &measurement);
    const struct guard_report guards = check_guards();
    platform_write(&status, sizeof status);
    platform_write(&measurement, sizeof measurement);
    platform_write(&guards, sizeof guards);
    for (uint32_t i = 0; i < harness_step_count; i++) {
      platform_write(&harness_profile[i], sizeof harness_profile[i]);
    }
    for (uint32_t i = 0; i < harness_operator_count; i++) {
      platform_write(&harness_operator_profile[i], sizeof harness_operator_profile[i]);
    }
    for (uint32_t i = 0; i < harness_output_count; i++) {
      platform_write(*harness_outputs[i].address, harness_outputs[i].bytes);
    }
  }
}
