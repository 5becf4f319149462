/* The platform of an emulated board: files by semihosting, instructions by a board's counter, the
 * model on a stack of its own that shows how deep it went. */
#include "harness.h"
#include "semihosting.h"

#ifndef PLATFORM_COUNTER
#error "PLATFORM_COUNTER is the address of a 32-bit counter that counts up"
#endif
#define COUNTER (*(volatile uint32_t*)PLATFORM_COUNTER)

#define PAINT 0x5AFE57ACu /* what no program writes by chance */

/* Of the linker script. */
extern uint32_t model_stack_bottom[], model_stack_top[];

void program(void); /* called by startup.c */

static int32_t input_file;
static int32_t output_file;

static _Noreturn void fail(const char* message) {
  semihosting_print(message);
  semihosting_exit(2);
}

void platform_read(void* to, uint32_t bytes) {
  if (semihosting_read(input_file, to, bytes) != 0) {
    fail("DERO-ERROR The file of inputs is too short.\n");
  }
}

void platform_write(const void* from, uint32_t bytes) {
  if (semihosting_write(output_file, from, bytes) != 0) {
    fail("DERO-ERROR The file of outputs cannot be written.\n");
  }
}

#if __ARM_ARCH < 8
#define MPU_CTRL (*(volatile uint32_t*)0xE000ED94u)
#define MPU_RNR (*(volatile uint32_t*)0xE000ED98u)
#define MPU_RBAR (*(volatile uint32_t*)0xE000ED9Cu)
#define MPU_RASR (*(volatile uint32_t*)0xE000EDA0u)

#define MPU_CTRL_ENABLE_WITH_DEFAULT_MAP 5u
#define MPU_RASR_NO_ACCESS (1u << 28) /* XN; access permissions 0 */
#define LARGEST_GAP 0x100000u
#define SMALLEST_REGION 32u

/* Armv7-M has no stack limit, and emulated boards ignore writes below their RAM, so the memory
 * protection unit has to tell of an overflow: nothing below the stack may be touched. */
static void forbid_memory_below_stack(void) {
  const uint32_t bottom = (uint32_t)model_stack_bottom;
  uint32_t size = bottom & (~bottom + 1u); /* a region is aligned to its size */
  if (size > LARGEST_GAP) {
    size = LARGEST_GAP;
  }
  if (size < SMALLEST_REGION) {
    return;
  }
  const uint32_t log2_size = 31u - (uint32_t)__builtin_clz(size);
  MPU_RNR = 0;
  MPU_RBAR = bottom - size;
  MPU_RASR = MPU_RASR_NO_ACCESS | ((log2_size - 1u) << 1) | 1u;
  MPU_CTRL = MPU_CTRL_ENABLE_WITH_DEFAULT_MAP;
  __asm__ volatile("dsb\n\tisb" ::: "memory");
}
#endif

/* Waits for the counter's next step, so that a measurement begins at a known phase. */
static uint32_t next_tick(void) {
  const uint32_t last = COUNTER;
  uint32_t now;
  do {
    now = COUNTER;
  } while (now == last);
  return now;
}

/* Calls `run` in thread mode with the process stack pointer set to `stack`.  Armv8-M stops a stack
 * that grows beyond its limit; on Armv7-M forbid_memory_below_stack does. */
__attribute__((naked, noinline)) static int32_t call_on_stack(
    __attribute__((unused)) int32_t (*run)(void), __attribute__((unused)) uint32_t* stack) {
  __asm__ volatile(
      "push {r4, lr}\n\t"
#if __ARM_ARCH >= 8
      "ldr r3, =model_stack_bottom\n\t"
      "msr psplim, r3\n\t"
#endif
      "msr psp, r1\n\t"
      "mrs r2, control\n\t"
      "orr r2, r2, #2\n\t" /* SPSEL: use the process stack pointer */
      "msr control, r2\n\t"
      "isb\n\t"
      "blx r0\n\t"
      "mrs r2, control\n\t"
      "bic r2, r2, #2\n\t"
      "msr control, r2\n\t"
      "isb\n\t"
      "pop {r4, pc}\n\t"
      ".ltorg");
}

int32_t platform_measure(int32_t (*run)(void), struct harness_measurement* measurement) {
  for (volatile uint32_t* word = model_stack_bottom; word != model_stack_top; word++) {
    *word = PAINT;
  }
  const uint32_t start = next_tick();
  const int32_t status = call_on_stack(run, model_stack_top);
  measurement->ticks = COUNTER - start;
  const uint32_t* deepest = model_stack_bottom;
  while (deepest != model_stack_top && *deepest == PAINT) {
    deepest++;
  }
  if (deepest == model_stack_bottom) {
    fail("DERO-STACK\n");
  }
  measurement->stack_bytes = (uint32_t)((uint8_t*)model_stack_top - (const uint8_t*)deepest);
  return status;
}

uint32_t platform_calibrate(void) {
  uint32_t rounds = 100000;
  const uint32_t start = next_tick();
  __asm__ volatile(
      "1: subs %0, %0, #1\n\t"
      "bne 1b"
      : "+l"(rounds)
      :
      : "cc");
  return COUNTER - start;
}

void program(void) {
#if __ARM_ARCH < 8
  forbid_memory_below_stack();
#endif
  input_file = semihosting_open("inputs.bin", SEMIHOSTING_READ_BINARY);
  output_file = semihosting_open("outputs.bin", SEMIHOSTING_WRITE_BINARY);
  if (input_file < 0 || output_file < 0) {
    fail("DERO-ERROR The files of inputs and outputs cannot be opened.\n");
  }
  harness_main();
  semihosting_close(output_file);
}
