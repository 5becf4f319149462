/* A host talks to the device in lines of text, for example over a serial port:
 *
 *     NUMBER COMMAND ARGUMENT... *CRC   ->   NUMBER ok WORD... *CRC   or   NUMBER error REASON *CRC
 *
 * The answer has its command's number, so that one that comes late is not taken for another's.
 * A line that comes twice in succession is carried out once and answered twice: the host may repeat
 * what was not answered, under the same number, and gives every other command another number.
 *
 * CRC is the CRC-32 (as in zlib and Ethernet) of what stands before " *", in eight hexadecimal
 * digits.  Lines with a wrong one are answered with an error without a number; lines without one
 * are ignored.
 *
 *     hello                     ok VERSION NAME INPUTS OUTPUTS     numbers of inputs and outputs
 *     input N                   ok NAME BYTES
 *     output N                  ok NAME BYTES
 *     write N OFFSET HEX        ok                                 bytes of input N
 *     run                       ok STATUS MICROSECONDS             0 microseconds: not measured
 *     reset                     ok                                 what lasts between inferences
 *     read N OFFSET COUNT       ok HEX                             bytes of output N
 *     bye                       ok
 *
 * "hello" comes first; so a host learns if the device has restarted.  Without a number, as hosts of
 * version 1 send it, it is answered without one.
 *
 * Write every input before every run, and read outputs before the next write: they may share
 * memory.  Values are in the device's byte order (little-endian on every Cortex-M). */
#ifndef PROTOCOL_H
#define PROTOCOL_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PROTOCOL_VERSION 2
#define PROTOCOL_CHUNK 64u /* bytes of a tensor in one line, at most */

/* Of the platform. */
void platform_write(const char* text, uint32_t length);
uint64_t platform_microseconds(void); /* of any clock; always 0 if there is none */

/* Before the first character. */
void protocol_begin(void);

/* Takes one character; answers when a line is complete.  Returns true after "bye". */
bool protocol_receive(char character);

#ifdef __cplusplus
}
#endif

#endif
