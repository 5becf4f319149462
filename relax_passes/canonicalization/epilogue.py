"""What follows an operator and can be computed by it: a bias, a clamp, a quantization.

The chain is followed only while each value has exactly one reader, so nothing that is fused is
missed elsewhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tvm import relax

from ..ir.constant_tensor import ConstantTensor
from ..ir.dataflow import Dataflow, is_call, shape_of
from ..operators.fixed_point import integer_limits, type_limits
from .fold_constants import clip_bounds


@dataclass
class Epilogue:
    """The operators after a root that a fused operator takes over, in their order."""

    last: relax.Var
    bias: ConstantTensor | None = None  # one element a channel
    low: float | None = None  # clamp of the real result
    high: float | None = None
    scale: float | None = None  # of the quantized result; None: it stays float
    zero_point: int = 0
    dtype: str = "int8"  # of the quantized result
    minimum: int | None = None  # clamp of the quantized result
    maximum: int | None = None
    fused: list[relax.Var] = field(default_factory=list)

    def fuse(self, var: relax.Var) -> None:
        self.last = var
        self.fused.append(var)

    @property
    def clamp(self) -> dict[str, float | None]:
        """Attributes of a float operator."""
        return {"minimum": self.low, "maximum": self.high}


def float_epilogue(old: Dataflow, root: relax.Var, *, bias: bool = False) -> Epilogue:
    """Bias (if the root can add one) and clamp after `root`."""
    epilogue = Epilogue(root)
    if bias:
        _take_bias(old, epilogue)
    low, high = -math.inf, math.inf
    while (reader := old.sole_reader(epilogue.last)) is not None:
        var, call = reader
        bounds = float_bounds(call)
        if bounds is None:
            break
        new_low, new_high = max(low, bounds[0]), min(high, bounds[1])
        if new_low > new_high:  # disjoint clamps are not one clamp
            break
        low, high = new_low, new_high
        epilogue.fuse(var)
    epilogue.low = None if low == -math.inf else low
    epilogue.high = None if high == math.inf else high
    return epilogue


def quantized_epilogue(
    old: Dataflow, root: relax.Var, *, bias: bool = False, dtype: str = "int8"
) -> Epilogue | None:
    """Bias, clamp, quantization to `dtype` and integer clamp after `root`; None if it has none."""
    epilogue = float_epilogue(old, root, bias=bias)
    reader = old.sole_reader(epilogue.last)
    if reader is None or not is_call(reader[1], "relax.quantize"):
        return None
    var, call = reader
    scale, zero_point = (old.constant(arg) for arg in call.args[1:])
    if call.attrs.out_dtype != dtype or scale is None or zero_point is None:
        return None
    if scale.values.size != 1 or zero_point.values.size != 1:
        return None
    epilogue.dtype = dtype
    epilogue.scale, epilogue.zero_point = scale.values.item(), int(zero_point.values.item())
    epilogue.fuse(var)
    take_integer_clamp(old, epilogue)
    return epilogue


def take_integer_clamp(old: Dataflow, epilogue: Epilogue) -> None:
    """Fuse `clip`s of a quantized value."""
    least, greatest = type_limits(epilogue.dtype)
    while (reader := old.sole_reader(epilogue.last)) is not None:
        var, call = reader
        if not is_call(call, "relax.clip"):
            return
        low, high = clip_bounds(call)
        low, high = max(low, least), min(high, greatest)  # they may be infinite
        minimum, maximum = integer_limits(vars(epilogue), epilogue.dtype)
        epilogue.minimum = max(minimum, math.ceil(low))
        epilogue.maximum = min(maximum, math.floor(high))
        epilogue.fuse(var)


def float_bounds(call: Any) -> tuple[float, float] | None:
    """Bounds of a `relu` or `clip`; None for other operators."""
    if is_call(call, "relax.nn.relu"):
        return 0.0, math.inf
    if is_call(call, "relax.clip"):
        return clip_bounds(call)
    return None


def _take_bias(old: Dataflow, epilogue: Epilogue) -> None:
    reader = old.sole_reader(epilogue.last)
    if reader is None or not is_call(reader[1], "relax.add"):
        return
    var, call = reader
    shape = shape_of(epilogue.last)
    if shape_of(call) != shape:
        return
    left, right = call.args
    other = right if left.same_as(epilogue.last) else left
    constant = old.constant(other)
    if constant is None or constant.values.size not in (1, shape[-1]):
        return
    if constant.values.size > 1 and (not constant.shape or constant.shape[-1] != shape[-1]):
        return
    flat = constant.reshape((constant.values.size,))
    epilogue.bias = flat.moved(lambda array: np.broadcast_to(array, (shape[-1],)))
    epilogue.fuse(var)
