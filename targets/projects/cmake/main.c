/* Serves the network over the debugger's console (semihosting); protocol.h says how. */
#include "protocol.h"
#include "semihosting.h"

void program(void); /* called by startup.c */

static int32_t console_output;

void platform_write(const char* text, uint32_t length) {
  semihosting_write(console_output, text, length);
}

/* A clock is a matter of the board: put one in here. */
uint64_t platform_microseconds(void) { return 0; }

void program(void) {
  const int32_t console_input = semihosting_open(SEMIHOSTING_CONSOLE, SEMIHOSTING_READ_BINARY);
  console_output = semihosting_open(SEMIHOSTING_CONSOLE, SEMIHOSTING_WRITE_BINARY);
  protocol_begin();
  char character;
  while (semihosting_read(console_input, &character, 1) == 0) {
    if (protocol_receive(character)) {
      break;
    }
  }
}
