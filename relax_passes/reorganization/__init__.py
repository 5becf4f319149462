"""DERO: the network read, reorganized and written again, as another function."""
