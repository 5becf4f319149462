"""Kernels of convolutions with a virtual shortcut, on every core with kernels of convolutions."""

from . import shortcut_conv2d as _shortcut_conv2d  # noqa: F401
