"""int8 kernels for cores with the DSP extension: Cortex-M4, M7, M33 and the like."""

from . import add, conv2d, depthwise, pad, pool2d

__all__ = ["add", "conv2d", "depthwise", "pad", "pool2d"]
