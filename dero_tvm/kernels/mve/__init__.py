"""int8 kernels for cores with Helium, the vector extension of Cortex-M55 and M85."""

from . import conv2d, dense, depthwise, pad, pool2d, sum

__all__ = ["conv2d", "dense", "depthwise", "pad", "pool2d", "sum"]
