#include <stdlib.h>
#include <unistd.h>
#include <zephyr/device.h>
#include <zephyr/drivers/uart.h>
#include <zephyr/kernel.h>

const struct device stub_console;
static int64_t ticks;

bool device_is_ready(const struct device *device) { return device == &stub_console; }

int uart_poll_in(const struct device *device, unsigned char *character) {
  (void)device;
  if (read(STDIN_FILENO, character, 1) != 1) {
    exit(0);
  }
  return 0;
}

void uart_poll_out(const struct device *device, unsigned char character) {
  (void)device;
  if (write(STDOUT_FILENO, &character, 1) != 1) {
    exit(1);
  }
}

int64_t k_uptime_ticks(void) { return ticks += 5; }
uint64_t k_ticks_to_us_floor64(uint64_t count) { return count * 100; }
