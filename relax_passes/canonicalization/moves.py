"""Which operators move elements, or pick the largest or smallest of some, without calculating.

What they compute is the same before and after an increasing function of each element, such as
quantization with one scale.  The one list of these operators: every phase that exchanges
something with them asks here.
"""

from __future__ import annotations

from typing import Any

from ..ir.dataflow import is_call

_ALWAYS = (
    "relax.reshape",
    "relax.permute_dims",
    "relax.strided_slice",
    "relax.concat",
    "relax.broadcast_to",
    "relax.tile",
    "relax.repeat",
    "relax.flip",
    "relax.nn.max_pool2d",
    "relax.max",
    "relax.min",
    "relax.maximum",
    "relax.minimum",
)


def is_move(expr: Any) -> bool:
    """True if every element of the result is an element of a tensor operand."""
    if is_call(expr, "relax.image.resize2d"):
        return expr.attrs.method == "nearest_neighbor"
    if is_call(expr, "relax.nn.pad"):
        return expr.attrs.pad_mode in ("reflect", "replicate")
    return is_call(expr, *_ALWAYS)


def pads_with_constant(expr: Any) -> bool:
    """True for a padding whose elements come from outside: a move, once its value is translated."""
    return is_call(expr, "relax.nn.pad") and expr.attrs.pad_mode == "constant"


def pad_value(call: Any) -> float:
    """The value of a padding with a constant."""
    return float(getattr(call.attrs.pad_value, "value", call.attrs.pad_value))
