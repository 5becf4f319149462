/* A plugin for QEMU: how often each block of instructions ran, and behind which other one.
 *
 *     -plugin transitions.so,start=ADDRESS,stop=ADDRESS,end=ADDRESS[,mark=ADDRESS],output=PATH
 *
 * Counting begins when a block at `start` runs and stops when one at an address from `stop` to
 * before `end` does, each time again.  Its parts are counted apart: part 0 begins with it, the next
 * one whenever a block at `mark` runs.  At exit the output gets a line for each pair of blocks,
 *
 *     <part> <address> <instructions> <address of the next> <its instructions> <times>
 *
 * with an address of 0 in front of the first block of each counting.
 *
 * The interface is version 1 of QEMU's (4.2 to 8.x; later versions still load it), declared here
 * because distributions do not package its header.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
typedef struct qemu_info_t qemu_info_t;

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id,
                                           void (*callback)(qemu_plugin_id_t,
                                                            struct qemu_plugin_tb*));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb* tb,
                                          void (*callback)(unsigned, void*), int flags,
                                          void* data);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id,
                                    void (*callback)(qemu_plugin_id_t, void*), void* data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb* tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb* tb);

#define EXPORT __attribute__((visibility("default")))
EXPORT int qemu_plugin_version = 1;

#define NO_REGISTERS 0 /* the callback reads none */
#define BUCKETS 4096u

struct successor {
  struct block* block;
  uint64_t part;
  uint64_t times;
  struct successor* next;
};

struct block {
  uint64_t address;
  size_t instructions;
  struct successor* successors; /* the one that came last first */
  struct block* next;           /* in its bucket */
};

static struct block* buckets[BUCKETS];
static struct block entry; /* what stands in front of the first block */
static struct block* last; /* NULL: not counting */
static uint64_t start, stop, end, mark;
static uint64_t part;
static char path[4096];

static void* allocate(size_t bytes) {
  void* memory = calloc(1, bytes);
  if (!memory) {
    fprintf(stderr, "transitions: out of memory\n");
    exit(1);
  }
  return memory;
}

/* A block is translated again when the emulator wants to stop inside it, or has forgotten it. */
static struct block* find_block(uint64_t address, size_t instructions) {
  struct block** link = &buckets[(address >> 1) % BUCKETS];
  for (; *link; link = &(*link)->next) {
    if ((*link)->address == address && (*link)->instructions == instructions) {
      return *link;
    }
  }
  *link = allocate(sizeof **link);
  (*link)->address = address;
  (*link)->instructions = instructions;
  return *link;
}

static void count(struct block* from, struct block* to) {
  struct successor** link = &from->successors;
  while (*link && ((*link)->block != to || (*link)->part != part)) {
    link = &(*link)->next;
  }
  struct successor* found = *link;
  if (found) {
    *link = found->next;
  } else {
    found = allocate(sizeof *found);
    found->block = to;
    found->part = part;
  }
  found->next = from->successors;
  from->successors = found;
  found->times++;
}

static void executed(unsigned processor, void* data) {
  (void)processor;
  struct block* block = data;
  if (block->address == start && !last) {
    last = &entry;
    part = 0;
  }
  if (last && mark && block->address == mark) {
    part++;
  }
  if (block->address >= stop && block->address < end) {
    last = NULL;
  }
  if (last) {
    count(last, block);
    last = block;
  }
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb* tb) {
  (void)id;
  struct block* block = find_block(qemu_plugin_tb_vaddr(tb), qemu_plugin_tb_n_insns(tb));
  qemu_plugin_register_vcpu_tb_exec_cb(tb, executed, NO_REGISTERS, block);
}

static void write_block(FILE* file, const struct block* from) {
  for (const struct successor* to = from->successors; to; to = to->next) {
    fprintf(file, "%" PRIu64 " %" PRIu64 " %zu %" PRIu64 " %zu %" PRIu64 "\n", to->part,
            from->address, from->instructions, to->block->address, to->block->instructions,
            to->times);
  }
}

static void finish(qemu_plugin_id_t id, void* data) {
  (void)id;
  (void)data;
  FILE* file = fopen(path, "w");
  if (!file) {
    fprintf(stderr, "transitions: cannot write %s\n", path);
    return;
  }
  write_block(file, &entry);
  for (size_t bucket = 0; bucket < BUCKETS; bucket++) {
    for (const struct block* block = buckets[bucket]; block; block = block->next) {
      write_block(file, block);
    }
  }
  fclose(file);
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t* info, int count_of_options,
                               char** options) {
  (void)info;
  for (int index = 0; index < count_of_options; index++) {
    const char* option = options[index];
    const char* value = strchr(option, '=');
    if (!value) {
      return -1;
    }
    value++;
    if (!strncmp(option, "start=", 6)) {
      start = strtoull(value, NULL, 0);
    } else if (!strncmp(option, "stop=", 5)) {
      stop = strtoull(value, NULL, 0);
    } else if (!strncmp(option, "end=", 4)) {
      end = strtoull(value, NULL, 0);
    } else if (!strncmp(option, "mark=", 5)) {
      mark = strtoull(value, NULL, 0);
    } else if (!strncmp(option, "output=", 7) && strlen(value) < sizeof path) {
      strcpy(path, value);
    } else {
      return -1;
    }
  }
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
  qemu_plugin_register_atexit_cb(id, finish, NULL);
  return 0;
}
