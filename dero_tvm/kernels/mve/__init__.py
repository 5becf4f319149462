"""Kernels of integers for cores with Helium, the vector extension of Cortex-M55 and M85."""

from . import (
    conv2d,
    conv2d_transpose,
    dense,
    depthwise,
    int16_layers,
    matmul,
    pad,
    pool2d,
    sum,
)

__all__ = [
    "conv2d",
    "conv2d_transpose",
    "dense",
    "depthwise",
    "int16_layers",
    "matmul",
    "pad",
    "pool2d",
    "sum",
]
