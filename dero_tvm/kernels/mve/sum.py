"""Addition and subtraction of tensors of one shape."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dero_tvm.schedule.row_offsets import RowOffsets
from relax_passes.operators import Signature
from relax_passes.operators.fixed_point import INT8, int8_limits, multiply_numpy

from ..c_kernel import SUPPORT, CKernel, ElementRun, Request
from ..dsp.element_loop import element_loop
from ..halved_operand import halved_first, is_halved
from ..kernel_table import register_kernel

_INT8 = INT8.astype(np.int64)


@register_kernel("subtract", features={"mve"})
@register_kernel("add", features={"mve"})
def add(request: Request) -> CKernel | None:
    """Four elements at a time."""
    s = request.signature
    output = s.output
    if (
        s["rounding"] == "even"
        or output.dtype != "int8"
        or any(spec.shape != output.shape for spec in s.inputs)
    ):
        return None
    order = halved_first(s)
    first, second = (_operand(s, index) for index in order)
    result = _result_scale(s)
    if first is None or second is None or result is None:
        return None
    adds = s.operator == "dero.add"
    numbers = (
        *(order[0], *first.numbers, *second.numbers, result.multiplier, result.shift),
        *(s["zero_points"][2], *int8_limits(s)),
    )
    scalings = ", ".join(scale.scaling for scale in (first.scale, second.scale, result))
    rest = output.channels % 4 > 0
    with_ = f"(const struct mve_summation *)numbers, {scalings}, {int(adds)}, {int(rest)}"

    def run(a: str, b: str, out: str, count: str) -> str:
        return f"mve_sum_elements({with_}, {count}, {a}, {b}, {out});\n"

    def body(offsets: RowOffsets) -> str:
        rows = offsets.rows_of(s, "ab")
        return f"{rows}{element_loop('mve_sum_elements', s, with_, offsets)}"

    return CKernel(
        "mve_add" if adds else "mve_subtract",
        body,
        {"numbers": np.array(numbers, np.int32)},
        support=(SUPPORT / "mve_sum.h",),
        elements=ElementRun("", run, numbers),
        ranges=True,
    )


_UNSCALED = "MVE_UNSCALED"


@dataclass(frozen=True)
class _Scale:
    """How `c/mve_sum.h` scales with one factor; a factor of 1 is none."""

    scaling: str = _UNSCALED
    multiplier: int = 0
    shift: int = 0


@dataclass(frozen=True)
class _Operand:
    """How an operand without its zero point is shifted left, then scaled."""

    zero_point: int
    left: int
    scale: _Scale

    @property
    def numbers(self) -> tuple[int, ...]:
        """A ``struct mve_operand``."""
        return self.zero_point, self.left, self.scale.multiplier, self.scale.shift


def _operand(s: Signature, index: int) -> _Operand | None:
    multiplier, shift = s["multipliers"][index], s["shifts"][index]
    left = s["left_shift"]
    zero_point = s["zero_points"][index]
    values = (_INT8 - zero_point) << left
    if np.any(np.abs(values) >> 31):
        return None
    if is_halved(s, index):
        return _Operand(zero_point, left - 1, _Scale())
    exact = multiply_numpy(values, multiplier, shift, s["rounding"])
    # An operand has 256 values, so whether ties below zero matter can be tried.
    upwards = multiply_numpy(values, multiplier, 0, "double")
    upwards = (upwards + (1 << max(-shift - 1, 0))) >> max(-shift, 0)
    scale = _scale(multiplier, shift, s["rounding"], bool(np.all(upwards == exact)))
    return None if scale is None else _Operand(zero_point, left, scale)


def _result_scale(s: Signature) -> _Scale | None:
    rectified = s["zero_points"][2] <= int8_limits(s)[0]
    return _scale(s["multipliers"][2], s["shifts"][2], s["rounding"], rectified)


def _scale(multiplier: int, shift: int, rounding: str, ties_upwards: bool) -> _Scale | None:
    if not -31 <= shift <= (-1 if rounding == "double" else -2):
        return None
    if rounding == "single":
        return _Scale("MVE_SINGLE", multiplier, shift + 1)
    return _Scale("MVE_RECTIFIED" if ties_upwards else "MVE_DOUBLE", multiplier, shift)
