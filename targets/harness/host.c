/* The platform of the host: files by standard input and output; a clock, but no instructions. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "harness.h"
#include "harness_clock.h"

static FILE* input_file;
static FILE* output_file;

static FILE* open_or_exit(const char* path, const char* mode) {
  FILE* file = fopen(path, mode);
  if (file == NULL) {
    perror(path);
    exit(EXIT_FAILURE);
  }
  return file;
}

void platform_read(void* to, uint32_t bytes) {
  if (fread(to, 1, bytes, input_file) != bytes) {
    fputs("The file of inputs is too short.\n", stderr);
    exit(EXIT_FAILURE);
  }
}

void platform_write(const void* from, uint32_t bytes) {
  if (fwrite(from, 1, bytes, output_file) != bytes) {
    perror("writing outputs");
    exit(EXIT_FAILURE);
  }
}

int32_t platform_measure(int32_t (*run)(void), struct harness_measurement* measurement) {
  measurement->ticks = 0;
  measurement->stack_bytes = 0;
  return run();
}

uint32_t platform_calibrate(void) { return 0; }

uint32_t harness_clock(void) {
  struct timespec now;
  timespec_get(&now, TIME_UTC);
  return (uint32_t)((uint64_t)now.tv_sec * 10000000u + (uint64_t)now.tv_nsec / 100u);
}

int main(int argc, char** argv) {
  if (argc != 3) {
    fputs("Two arguments are needed: the file of inputs and the file for outputs.\n", stderr);
    return EXIT_FAILURE;
  }
  input_file = open_or_exit(argv[1], "rb");
  output_file = open_or_exit(argv[2], "wb");
  harness_main();
  if (fclose(output_file) != 0) {
    perror(argv[2]);
    return EXIT_FAILURE;
  }
  return EXIT_SUCCESS;
}
