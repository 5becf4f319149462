/* The network as the protocol sees it; network.c is generated for each model. */
#ifndef NETWORK_H
#define NETWORK_H

#include <stdint.h>

struct network_tensor {
  void** address; /* of the values; set by network_set_addresses */
  uint32_t bytes;
  const char* name;
};

extern const char network_name[]; /* of the C module */
extern const struct network_tensor network_inputs[];
extern const uint32_t network_input_count;
extern const struct network_tensor network_outputs[];
extern const uint32_t network_output_count;

/* Once, before anything is written or run. */
void network_set_addresses(void);

/* One inference; 0 if all went well.  Inputs may be overwritten. */
int32_t network_run_model(void);

/* Lets the next inference be the first one of a new sequence; without a state, does nothing. */
void network_reset(void);

#endif
