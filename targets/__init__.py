"""Boards and what their programs are built from: data, installed as `dero_tvm.targets`."""
