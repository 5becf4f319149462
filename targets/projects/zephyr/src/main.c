/* Serves the network over the board's console; protocol.h says how. */
#include <zephyr/device.h>
#include <zephyr/drivers/uart.h>
#include <zephyr/kernel.h>

#include "protocol.h"

static const struct device *const console = DEVICE_DT_GET(DT_CHOSEN(zephyr_console));

void platform_write(const char *text, uint32_t length) {
  for (uint32_t i = 0; i < length; i++) {
    uart_poll_out(console, (unsigned char)text[i]);
  }
}

uint64_t platform_microseconds(void) { return k_ticks_to_us_floor64((uint64_t)k_uptime_ticks()); }

int main(void) {
  if (!device_is_ready(console)) {
    return 0;
  }
  protocol_begin();
  for (;;) {
    unsigned char character;
    /* Polled without a pause: many UARTs hold but one character. */
    if (uart_poll_in(console, &character) == 0) {
      protocol_receive((char)character);
    }
  }
}
