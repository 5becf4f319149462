"""float32 kernels for cores with a floating-point unit that multiplies and adds at once."""

from . import conv2d

__all__ = ["conv2d"]
