"""What is left of an addition when one operand is taken away: its clamp, and integers' scale.

``z = clamp(a + b)`` without b is ``clamp(a)``.  In int8 and int16, a and z have scales
and zero points of their own; the addition's factors say by how much they differ::

    scale_a / scale_z = factor_a * factor_out * 2 ** left_shift

`absorb` builds this into the operator that computes `a`, `convert` makes an operator of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from tvm import relax
from tvm.ir import Call

from ..operators import attributes_of, make_call, operator_of
from ..operators.fixed_point import INT8, int8_limits, quantize_multiplier
from ..operators.quantized import requantization

_CONVOLUTIONS = ("dero.conv2d", "dero.dense")
_MOST_RATIO = 2.0**15 - 1  # brings every int16 but 0 to an end, in products of 32 bits


@dataclass(frozen=True)
class _Conversion:
    """``z = clamp((a - zero_a) * ratio + zero_z, minimum, maximum)``."""

    zero_a: int = 0
    zero_z: int = 0
    ratio: float = 1.0
    minimum: float | None = None
    maximum: float | None = None

    @property
    def is_identity(self) -> bool:
        return self == _Conversion(self.zero_a, self.zero_a)

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """int8 values of `a` as int8 values of `z`."""
        scaled = np.floor((values - self.zero_a) * self.ratio + 0.5) + self.zero_z
        limits = int8_limits({"minimum": self.minimum, "maximum": self.maximum})
        return np.clip(scaled, *limits).astype(np.int8)


def absorb(producer: relax.Expr, addition: Call, argument: int) -> Call | None:
    """`producer`, which computes operand `argument` of `addition`, changed to yield the result.

    None if the producer has no clamp of its own, or for int8 no factors for each channel, and for
    int16, whose factors have several roundings.
    """
    conversion = _conversion(addition, argument)
    if conversion.is_identity:
        return producer
    if not isinstance(producer, Call) or operator_of(producer) is None:
        return None
    attrs = attributes_of(producer)
    name = producer.op.name
    operands = list(producer.args)
    if str(addition.ty.dtype) == "float32":
        if "minimum" not in attrs or str(producer.ty.dtype) != "float32":
            return None
        attrs |= _intersection(attrs, conversion)
    elif name in _CONVOLUTIONS and str(addition.ty.dtype) == "int8":
        multiplier, shift = (arg.value.numpy() for arg in operands[3:])
        factors = np.ldexp(multiplier.astype(np.float64), shift - 31) * conversion.ratio
        pairs = [requantization(float(factor)) for factor in factors]
        operands[3:] = [relax.const(np.array(column, np.int32)) for column in zip(*pairs)]
        low, high = (int(limit) for limit in conversion(np.array(int8_limits(attrs))))
        attrs |= {"minimum": low, "maximum": high, "output_zero_point": conversion.zero_z}
    else:
        return None
    call = make_call(name.removeprefix("dero."), operands, **attrs)
    return Call(call.op, list(call.args), call.attrs, ret_ty=producer.ty)


def convert(operand: relax.Expr, addition: Call, argument: int) -> Call | None:
    """An operator from operand `argument` of `addition` to its result; None if they are equal."""
    conversion = _conversion(addition, argument)
    if conversion.is_identity:
        return None
    if str(addition.ty.dtype) == "float32":
        limits = {"minimum": conversion.minimum, "maximum": conversion.maximum}
        call = make_call("unary", [operand], function="clip", **limits)
    elif str(addition.ty.dtype) == "int16":
        call = _requantized(operand, conversion)
    else:
        table = conversion(INT8.astype(np.float64))
        if np.array_equal(table, INT8):
            return None
        call = make_call("lookup", [operand, relax.const(table)])
    return relax.BlockBuilder().normalize(call)


def _requantized(operand: relax.Expr, conversion: _Conversion) -> Call:
    """In int16, which has too many values for a table."""
    multiplier, shift = quantize_multiplier(min(conversion.ratio, _MOST_RATIO))
    return make_call(
        "requantize",
        [operand],
        input_zero_point=conversion.zero_a,
        output_zero_point=conversion.zero_z,
        multiplier=multiplier,
        shift=shift,
        dtype="int16",
        minimum=conversion.minimum,
        maximum=conversion.maximum,
    )


def _conversion(addition: Call, argument: int) -> _Conversion:
    attrs = attributes_of(addition)
    limits = {"minimum": attrs["minimum"], "maximum": attrs["maximum"]}
    if str(addition.ty.dtype) == "float32":
        return _Conversion(**limits)
    factors = [
        float(np.ldexp(float(multiplier), shift - 31))
        for multiplier, shift in zip(attrs["multipliers"], attrs["shifts"])
    ]
    ratio = factors[argument] * factors[2] * 2.0 ** attrs["left_shift"]
    return _Conversion(attrs["zero_points"][argument], attrs["zero_points"][2], ratio, **limits)


def _intersection(attrs: dict, conversion: _Conversion) -> dict[str, float | None]:
    """Two clamps in a row as one; the second decides where they exclude each other."""

    def limited(value: float) -> float:
        low = value if conversion.minimum is None else max(value, conversion.minimum)
        return low if conversion.maximum is None else min(low, conversion.maximum)

    return {
        "minimum": conversion.minimum if attrs["minimum"] is None else limited(attrs["minimum"]),
        "maximum": conversion.maximum if attrs["maximum"] is None else limited(attrs["maximum"]),
    }
