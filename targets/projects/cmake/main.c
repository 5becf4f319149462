/* Serves the network over the debugger's console (semihosting); protocol.h says how. */
#include "protocol.h"
#include "semihosting.h"

void program(void); /* called by startup.c */

void platform_write(const char* text, uint32_t length) {
  for (uint32_t i = 0; i < length; i++) {
    semihosting_print_character(text[i]);
  }
}

/* A clock is a matter of the board: put one in here. */
uint64_t platform_microseconds(void) { return 0; }

void program(void) {
  bool end = false;
  protocol_begin();
  while (!end) {
    const int32_t character = semihosting_read_character();
    if (character < 0) {
      break;
    }
    end = protocol_receive((char)character);
  }
}
