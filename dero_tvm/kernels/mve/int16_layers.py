"""Layers of int16 data with int8 weights."""

from __future__ import annotations

from relax_passes.operators import OperatorClass

from ..c_kernel import CKernel, Request
from ..int16_layers import layer
from ..kernel_table import register_kernel

_LANES = 8


@register_kernel("dense", features={"mve"})
@register_kernel(
    "conv2d", features={"mve"}, classes={OperatorClass.SPATIAL, OperatorClass.POINTWISE}
)
def conv2d(request: Request) -> CKernel | None:
    """Eight taps of four filters at a time."""
    return layer(request, "mve16", list(range(_LANES)))
