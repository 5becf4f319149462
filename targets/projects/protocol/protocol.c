#include "protocol.h"

#include <stddef.h>
#include <string.h>

#include "network.h"

#define LINE (2u * PROTOCOL_CHUNK + 64u)
#define CRC_TEXT 10u /* " *" and eight digits */

static char line[LINE];
static uint32_t line_length;
static bool line_too_long;

/* The last answer, kept so that a command that comes again is not carried out again. */
static char reply[LINE];
static uint32_t reply_length;
static uint32_t answered_crc; /* of the line that it answers */
static bool answered;

static bool greeted; /* since the device has started */

static uint32_t crc32(const char* text, uint32_t length) {
  uint32_t crc = 0xFFFFFFFFu;
  for (uint32_t i = 0; i < length; i++) {
    crc ^= (uint8_t)text[i];
    for (uint32_t bit = 0; bit < 8; bit++) {
      crc = (crc >> 1) ^ ((crc & 1u) ? 0xEDB88320u : 0u);
    }
  }
  return ~crc;
}

static void put_character(char character) {
  if (reply_length < LINE) {
    reply[reply_length++] = character;
  }
}

static void put_text(const char* text) {
  while (*text != '\0') {
    put_character(*text++);
  }
}

static void put_digits(uint64_t value) {
  char digits[20];
  uint32_t count = 0;
  do {
    digits[count++] = (char)('0' + value % 10u);
    value /= 10u;
  } while (value != 0);
  while (count > 0) {
    put_character(digits[--count]);
  }
}

static void put_number(uint64_t value) {
  put_character(' ');
  put_digits(value);
}

static char hex_digit(uint32_t value) {
  return (char)(value < 10u ? '0' + value : 'a' + (value - 10u));
}

static int32_t hex_value(char digit) {
  if (digit >= '0' && digit <= '9') {
    return digit - '0';
  }
  if (digit >= 'a' && digit <= 'f') {
    return digit - 'a' + 10;
  }
  if (digit >= 'A' && digit <= 'F') {
    return digit - 'A' + 10;
  }
  return -1;
}

static void send(const char* text, uint32_t length) {
  const uint32_t crc = crc32(text, length);
  char end[CRC_TEXT + 1] = {' ', '*'};
  for (uint32_t i = 0; i < 8; i++) {
    end[2 + i] = hex_digit((crc >> (28 - 4 * i)) & 0xFu);
  }
  end[CRC_TEXT] = '\n';
  platform_write(text, length);
  platform_write(end, sizeof(end));
}

/* The rest of the line that is still to be read. */
static const char* rest;

static bool take_digits(uint32_t* value) {
  if (*rest < '0' || *rest > '9') {
    return false;
  }
  uint64_t number = 0;
  for (; *rest >= '0' && *rest <= '9'; rest++) {
    number = number * 10u + (uint64_t)(*rest - '0');
    if (number > UINT32_MAX) {
      return false;
    }
  }
  *value = (uint32_t)number;
  return true;
}

static bool take_space(void) {
  const bool found = *rest == ' ';
  rest += found;
  return found;
}

static bool take_number(uint32_t* value) { return take_space() && take_digits(value); }

static bool take_command(const char* name) {
  const size_t length = strlen(name);
  if (strncmp(rest, name, length) != 0 || (rest[length] != ' ' && rest[length] != '\0')) {
    return false;
  }
  rest += length;
  return true;
}

static const struct network_tensor* take_tensor(const struct network_tensor* tensors,
                                                uint32_t count) {
  uint32_t number;
  return take_number(&number) && number < count ? &tensors[number] : NULL;
}

static void describe(const struct network_tensor* tensor) {
  if (tensor == NULL || *rest != '\0') {
    put_text("error no such tensor");
    return;
  }
  put_text("ok ");
  put_text(tensor->name);
  put_number(tensor->bytes);
}

static void write_input(const struct network_tensor* tensor) {
  uint32_t offset;
  if (tensor == NULL || !take_number(&offset) || *rest != ' ') {
    put_text("error write needs an input, an offset and bytes");
    return;
  }
  const char* digits = rest + 1;
  const size_t length = strlen(digits);
  const uint32_t count = (uint32_t)(length / 2);
  if (length % 2 != 0 || offset > tensor->bytes || count > tensor->bytes - offset) {
    put_text("error these bytes are not part of the input");
    return;
  }
  for (size_t i = 0; i < length; i++) {
    if (hex_value(digits[i]) < 0) {
      put_text("error not a hexadecimal digit");
      return;
    }
  }
  uint8_t* to = (uint8_t*)*tensor->address + offset;
  for (uint32_t i = 0; i < count; i++) {
    to[i] = (uint8_t)(hex_value(digits[2 * i]) << 4 | hex_value(digits[2 * i + 1]));
  }
  put_text("ok");
}

static void read_output(const struct network_tensor* tensor) {
  uint32_t offset, count;
  if (tensor == NULL || !take_number(&offset) || !take_number(&count) || *rest != '\0') {
    put_text("error read needs an output, an offset and a count");
    return;
  }
  if (count > PROTOCOL_CHUNK || offset > tensor->bytes || count > tensor->bytes - offset) {
    put_text("error these bytes are not part of the output, or too many for a line");
    return;
  }
  const uint8_t* from = (const uint8_t*)*tensor->address + offset;
  put_text("ok ");
  for (uint32_t i = 0; i < count; i++) {
    put_character(hex_digit(from[i] >> 4));
    put_character(hex_digit(from[i] & 0xFu));
  }
}

static void run(void) {
  const uint64_t start = platform_microseconds();
  const int32_t status = network_run_model();
  const uint64_t end = platform_microseconds();
  put_text(status < 0 ? "ok -" : "ok ");
  put_digits(status < 0 ? 0u - (uint32_t)status : (uint32_t)status);
  put_number(end - start);
}

/* Removes the CRC; false if the line has none. */
static bool take_crc(uint32_t* crc) {
  if (line_length < CRC_TEXT || line[line_length - CRC_TEXT] != ' ' ||
      line[line_length - CRC_TEXT + 1] != '*') {
    return false;
  }
  *crc = 0;
  for (uint32_t i = line_length - 8; i < line_length; i++) {
    const int32_t value = hex_value(line[i]);
    if (value < 0) {
      return false;
    }
    *crc = *crc << 4 | (uint32_t)value;
  }
  line_length -= CRC_TEXT;
  line[line_length] = '\0';
  return true;
}

/* Returns true after "bye". */
static bool carry_out(void) {
  if (take_command("hello")) {
    greeted = true;
    put_text("ok");
    put_number(PROTOCOL_VERSION);
    put_character(' ');
    put_text(network_name);
    put_number(network_input_count);
    put_number(network_output_count);
  } else if (take_command("bye")) {
    put_text("ok");
    return true;
  } else if (!greeted) {
    put_text("error the device has restarted: say hello first");
  } else if (take_command("input")) {
    describe(take_tensor(network_inputs, network_input_count));
  } else if (take_command("output")) {
    describe(take_tensor(network_outputs, network_output_count));
  } else if (take_command("write")) {
    write_input(take_tensor(network_inputs, network_input_count));
  } else if (take_command("read")) {
    read_output(take_tensor(network_outputs, network_output_count));
  } else if (take_command("run")) {
    run();
  } else if (take_command("reset")) {
    network_reset();
    put_text("ok");
  } else {
    put_text("error unknown command");
  }
  return false;
}

static bool answer(void) {
  static const char damaged[] = "error the line was damaged: its CRC is wrong";
  static const char no_number[] = "error a line begins with a number";
  uint32_t crc, number;
  bool end = false;
  if (!take_crc(&crc)) {
    return false;
  }
  rest = line;
  if (crc != crc32(line, line_length)) {
    send(damaged, sizeof(damaged) - 1);
    return false;
  }
  if (!answered || crc != answered_crc) {
    reply_length = 0;
    if (take_digits(&number) && take_space()) {
      put_digits(number);
      put_character(' ');
    } else if (strcmp(line, "hello") != 0) { /* which asks for the version of the protocol */
      send(no_number, sizeof(no_number) - 1);
      return false;
    }
    end = carry_out();
    answered = true;
    answered_crc = crc;
  }
  send(reply, reply_length);
  return end;
}

void protocol_begin(void) {
  line_length = 0;
  line_too_long = false;
  answered = false;
  greeted = false;
  network_set_addresses();
}

bool protocol_receive(char character) {
  bool end = false;
  if (character == '\n' || character == '\r') {
    if (!line_too_long && line_length > 0) {
      end = answer();
    }
    line_length = 0;
    line_too_long = false;
  } else if (line_length < LINE - 1) {
    line[line_length++] = character;
  } else {
    line_too_long = true;
  }
  return end;
}
