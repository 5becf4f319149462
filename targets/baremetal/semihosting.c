#include "semihosting.h"

enum operation {
  SYS_OPEN = 0x01,
  SYS_CLOSE = 0x02,
  SYS_WRITE0 = 0x04,
  SYS_WRITE = 0x05,
  SYS_READ = 0x06,
  SYS_EXIT_EXTENDED = 0x20,
};

#define APPLICATION_EXIT 0x20026u /* the reason ADP_Stopped_ApplicationExit */

static uint32_t call(enum operation operation, const void* parameters) {
  register uint32_t r0 __asm__("r0") = (uint32_t)operation;
  register const void* r1 __asm__("r1") = parameters;
  __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
  return r0;
}

int32_t semihosting_open(const char* path, uint32_t mode) {
  uint32_t length = 0;
  while (path[length] != '\0') {
    length++;
  }
  const uint32_t parameters[3] = {(uint32_t)path, mode, length};
  return (int32_t)call(SYS_OPEN, parameters);
}

uint32_t semihosting_read(int32_t file, void* to, uint32_t bytes) {
  const uint32_t parameters[3] = {(uint32_t)file, (uint32_t)to, bytes};
  return call(SYS_READ, parameters);
}

uint32_t semihosting_write(int32_t file, const void* from, uint32_t bytes) {
  const uint32_t parameters[3] = {(uint32_t)file, (uint32_t)from, bytes};
  return call(SYS_WRITE, parameters);
}

void semihosting_close(int32_t file) {
  const uint32_t parameters[1] = {(uint32_t)file};
  call(SYS_CLOSE, parameters);
}

void semihosting_print(const char* text) { call(SYS_WRITE0, text); }

_Noreturn void semihosting_exit(uint32_t status) {
  const uint32_t parameters[2] = {APPLICATION_EXIT, status};
  call(SYS_EXIT_EXTENDED, parameters);
  for (;;) {
  }
}
