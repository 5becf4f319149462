"""Kernels of integers for cores with the DSP extension: Cortex-M4, M7, M33 and the like."""

from . import (
    add,
    conv2d,
    conv2d_transpose,
    depthwise,
    flip_sign_bit,
    int16_layers,
    lookup,
    matmul,
    multiply,
    pad,
    pool2d,
    resize_bilinear,
    softmax,
    svdf,
    totals,
)

__all__ = [
    "add",
    "conv2d",
    "conv2d_transpose",
    "depthwise",
    "flip_sign_bit",
    "int16_layers",
    "lookup",
    "matmul",
    "multiply",
    "pad",
    "pool2d",
    "resize_bilinear",
    "softmax",
    "svdf",
    "totals",
]
