/* The few semihosting calls that a test program needs (Arm's "Semihosting for AArch32 and
 * AArch64"): files, a line to the debugger's console, the end. */
#ifndef SEMIHOSTING_H
#define SEMIHOSTING_H

#include <stdint.h>

#define SEMIHOSTING_READ_BINARY 1u
#define SEMIHOSTING_WRITE_BINARY 5u

/* Returns a handle, or -1. */
int32_t semihosting_open(const char* path, uint32_t mode);
/* Both return the number of bytes that were not transferred. */
uint32_t semihosting_read(int32_t file, void* to, uint32_t bytes);
uint32_t semihosting_write(int32_t file, const void* from, uint32_t bytes);
void semihosting_close(int32_t file);
void semihosting_print(const char* text);
/* To and from the debugger's console; reading waits, and gives -1 at the end. */
void semihosting_print_character(char character);
int32_t semihosting_read_character(void);
_Noreturn void semihosting_exit(uint32_t status);

#endif
