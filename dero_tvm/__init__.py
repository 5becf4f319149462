"""dero_tvm: trained networks with residual connections in the RAM of a microcontroller."""
