"""int8 kernels for cores with the DSP extension: Cortex-M4, M7, M33 and the like."""

from . import conv2d, depthwise

__all__ = ["conv2d", "depthwise"]
