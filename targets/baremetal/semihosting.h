/* The few semihosting calls that a test program needs (Arm's "Semihosting for AArch32 and
 * AArch64"): files, a line to the debugger's console, the end. */
#ifndef SEMIHOSTING_H
#define SEMIHOSTING_H

#include <stdint.h>

#define SEMIHOSTING_CONSOLE ":tt" /* a path: the debugger's console */
#define SEMIHOSTING_READ_BINARY 1u
#define SEMIHOSTING_WRITE_BINARY 5u

/* Returns a handle, or -1. */
int32_t semihosting_open(const char* path, uint32_t mode);
/* Both return the number of bytes that were not transferred. */
uint32_t semihosting_read(int32_t file, void* to, uint32_t bytes);
uint32_t semihosting_write(int32_t file, const void* from, uint32_t bytes);
void semihosting_close(int32_t file);
void semihosting_print(const char* text);
_Noreturn void semihosting_exit(uint32_t status);

#endif
