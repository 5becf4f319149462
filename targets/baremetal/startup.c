/* Start-up code of a Cortex-M (Armv6-M, Armv7-M, Armv8-M mainline): vectors, coprocessors, memory,
 * faults. */
#include <stdint.h>

#include "semihosting.h"

/* Of the linker script. */
extern uint32_t main_stack_top[];
extern uint32_t data_load[], data_start[], data_end[];
extern uint32_t itcm_load[], itcm_start[], itcm_end[];
extern uint32_t bss_start[], bss_end[];

void program(void); /* platform.c */
void reset_handler(void);
void fault_handler(void);
void report_fault(const uint32_t* frame, uint32_t exception);

#define CCR (*(volatile uint32_t*)0xE000ED14u)
#define SHCSR (*(volatile uint32_t*)0xE000ED24u)
#define CFSR (*(volatile uint32_t*)0xE000ED28u)
#define HFSR (*(volatile uint32_t*)0xE000ED2Cu)
#define MMFAR (*(volatile uint32_t*)0xE000ED34u)
#define BFAR (*(volatile uint32_t*)0xE000ED38u)
#define MPU_CTRL (*(volatile uint32_t*)0xE000ED94u)
#define CPACR (*(volatile uint32_t*)0xE000ED88u)

#define CCR_DIV_0_TRP (1u << 4)
#define SHCSR_MEM_BUS_USAGE_FAULTS (7u << 16)
#define SHCSR_SECURE_FAULT (1u << 19)
#define CPACR_FULL_ACCESS_TO_FPU_AND_MVE (0xFu << 20)
#define CFSR_MMARVALID (1u << 7)
#define CFSR_BFARVALID (1u << 15)

__attribute__((section(".vectors"), used)) static const void* const vectors[16] = {
    main_stack_top,
    (const void*)reset_handler,
    (const void*)fault_handler, /* NMI */
    (const void*)fault_handler, /* HardFault */
    (const void*)fault_handler, /* MemManage */
    (const void*)fault_handler, /* BusFault */
    (const void*)fault_handler, /* UsageFault */
    (const void*)fault_handler, /* SecureFault; reserved in Armv7-M */
    0,
    0,
    0,
    (const void*)fault_handler, /* SVCall */
    (const void*)fault_handler, /* DebugMonitor */
    0,
    (const void*)fault_handler, /* PendSV */
    (const void*)fault_handler, /* SysTick */
};

static void copy(const uint32_t* from, uint32_t* to, const uint32_t* end) {
  while (to != end) {
    *to++ = *from++;
  }
}

void reset_handler(void) {
#if __ARM_ARCH > 6 /* Armv6-M has but one fault, and neither of these */
  /* First: the compiler may use floating-point or vector registers anywhere. */
  CPACR |= CPACR_FULL_ACCESS_TO_FPU_AND_MVE;
  __asm__ volatile("dsb\n\tisb" ::: "memory");
  SHCSR |= SHCSR_MEM_BUS_USAGE_FAULTS | SHCSR_SECURE_FAULT;
  CCR |= CCR_DIV_0_TRP;
#endif
  copy(data_load, data_start, data_end);
  copy(itcm_load, itcm_start, itcm_end);
  __asm__ volatile("dsb\n\tisb" ::: "memory"); /* what was copied is fetched from now on */
  for (uint32_t* to = bss_start; to != bss_end; to++) {
    *to = 0;
  }
  program();
  semihosting_exit(0);
}

/* Finds the stack frame of the code that failed (EXC_RETURN bit 2: the process stack). */
__attribute__((naked)) void fault_handler(void) {
  __asm__ volatile(
#if __ARM_ARCH > 6
      "tst lr, #4\n\t"
      "ite eq\n\t"
      "mrseq r0, msp\n\t"
      "mrsne r0, psp\n\t"
#else
      "mrs r0, msp\n\t"
      "movs r1, #4\n\t"
      "mov r2, lr\n\t"
      "tst r2, r1\n\t"
      "beq 1f\n\t"
      "mrs r0, psp\n\t"
      "1:\n\t"
#endif
      "mrs r1, ipsr\n\t"
      "ldr r2, =main_stack_top\n\t" /* the main stack may be what overflowed */
      "mov sp, r2\n\t"
      "ldr r2, =report_fault\n\t"
      "bx r2\n\t"
      ".ltorg");
}

static void print_field(const char* name, uint32_t value) {
  char text[10];
  for (uint32_t i = 0; i < 8; i++) {
    const uint32_t digit = (value >> (28u - 4u * i)) & 0xFu;
    text[i] = (char)(digit < 10u ? '0' + digit : 'a' + (digit - 10u));
  }
  text[8] = ' ';
  text[9] = '\0';
  semihosting_print(name);
  semihosting_print(text);
}

/* One line of fields in hexadecimal, which the runner turns into a sentence. */
void report_fault(const uint32_t* frame, uint32_t exception) {
#if __ARM_ARCH > 6
  MPU_CTRL = 0; /* after a stack overflow the frame lies where nothing may be read */
  __asm__ volatile("dsb\n\tisb" ::: "memory");
  const uint32_t status = CFSR;
  const uint32_t hard_status = HFSR;
#else
  const uint32_t status = 0, hard_status = 0; /* Armv6-M does not tell */
#endif
  semihosting_print("DERO-FAULT ");
  print_field("exception=", exception);
  print_field("pc=", frame[6]);
  print_field("lr=", frame[5]);
  print_field("sp=", (uint32_t)frame);
  print_field("cfsr=", status);
  print_field("hfsr=", hard_status);
  if (status & CFSR_MMARVALID) {
    print_field("address=", MMFAR);
  } else if (status & CFSR_BFARVALID) {
    print_field("address=", BFAR);
  }
  semihosting_print("\n");
  semihosting_exit(3);
}
