"""Addition and subtraction of tensors of one shape."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dero_tvm.schedule.row_offsets import RowOffsets
from relax_passes.operators import Signature
from relax_passes.operators.fixed_point import INT8, int8_limits, multiply_numpy

from ..c_kernel import SUPPORT, CKernel, ElementRun, Request
from ..kernel_table import register_kernel

_HALF = (1 << 30, 0)  # the factor 1/2
_INT8 = INT8.astype(np.int64)


@register_kernel("add", features={"mve"})
def add(request: Request) -> CKernel | None:
    """Four elements at a time."""
    return _sum(request.signature, "mve_add")


@register_kernel("subtract", features={"mve"})
def subtract(request: Request) -> CKernel | None:
    """Four elements at a time."""
    return _sum(request.signature, "mve_subtract")


def _sum(s: Signature, combine: str) -> CKernel | None:
    output = s.output
    if (
        s["rounding"] == "even"
        or output.dtype != "int8"
        or any(spec.shape != output.shape for spec in s.inputs)
    ):
        return None
    scale_a, scale_b = (_operand_scale(s, index) for index in range(2))
    result = _result_scale(s)
    if scale_a is None or scale_b is None or result is None:
        return None
    scales = (scale_a, scale_b)
    dense = output.dense and all(spec.dense for spec in s.inputs)
    whole_row = (1, output.row_stride) if dense else (output.pixels, output.channels)

    def some(count: int, operands: Sequence[str], out: str) -> str:
        a, b = (
            scale.applied(f"mve_load_shifted({operand}, {zero}, {left}, {count})")
            for operand, zero, (scale, left) in zip(operands, s["zero_points"], scales)
        )
        low, high = int8_limits(s)
        return f"""\
const mve_int32x4 scaled_a = {a};
const mve_int32x4 scaled_b = {b};
const mve_int32x4 total = {combine}(scaled_a, scaled_b);
mve_store({out}, {result.applied("total")}, {s["zero_points"][2]}, {low}, {high}, {count});"""

    def run(a: str, b: str, out: str, count: str) -> str:
        # Pointers that move, for of many constants none is left in a register for an index.
        fours, rest = divmod(int(count), 4)
        parts = [f"const int8_t *x = {a}, *y = {b};", f"int8_t *z = {out};"]
        if fours:
            parts.append(f"for (int32_t left = {fours}; left > 0; --left) {{")
            parts.append(textwrap.indent(some(4, "xy", "z"), "  "))
            parts += ["  x += 4;", "  y += 4;", "  z += 4;", "}"]
        if rest:
            parts.append(some(rest, "xy", "z"))
        return "\n".join(parts)

    by_index = [f"{name} + i" for name in ("a", "b", "out")]

    def body(offsets: RowOffsets) -> str:
        pixels, channels = whole_row
        if offsets.columns:
            pixels, channels = output.pixels, output.channels
        whole = channels // 4 * 4
        parts = []
        if whole:
            parts.append(f"for (int32_t i = 0; i < {whole}; i += 4) {{")
            parts += [textwrap.indent(some(4, by_index, by_index[2]), "  "), "}"]
        if channels % 4:
            parts += ["{", f"  const int32_t i = {whole};"]
            parts += [textwrap.indent(some(channels % 4, by_index, by_index[2]), "  "), "}"]
        rows = offsets.rows_of(s, "ab")
        one = "\n".join(parts)
        if pixels == 1 and not offsets.columns:
            return rows + one
        return f"""\
{rows}for (int32_t pixel = 0; pixel < {offsets.pixels(s)}; ++pixel) {{
{textwrap.indent(one, "  ")}
  a += {s.inputs[0].pixel_stride};
  b += {s.inputs[1].pixel_stride};
  out += {output.pixel_stride};
}}"""

    return CKernel(
        combine,
        body,
        support=(SUPPORT / "mve_sum.h",),
        elements=ElementRun("", run),
        ranges=True,
    )


@dataclass(frozen=True)
class _Scale:
    """A function of `c/mve_requantize.h` with one factor; no function for a factor of 1."""

    function: str = ""
    multiplier: int = 0
    shift: int = 0

    def applied(self, value: str) -> str:
        if not self.function:
            return value
        return f"{self.function}({value}, mve_all({self.multiplier}), mve_all({self.shift}))"


def _operand_scale(s: Signature, index: int) -> tuple[_Scale, int] | None:
    """How an operand is scaled, and by how many bits it is shifted left before."""
    multiplier, shift = s["multipliers"][index], s["shifts"][index]
    left = s["left_shift"]
    values = (_INT8 - s["zero_points"][index]) << left
    if np.any(np.abs(values) >> 31):
        return None
    if (multiplier, shift) == _HALF and left > 0:
        return _Scale(), left - 1
    exact = multiply_numpy(values, multiplier, shift, s["rounding"])
    # An operand has 256 values, so whether ties below zero matter can be tried.
    upwards = multiply_numpy(values, multiplier, 0, "double")
    upwards = (upwards + (1 << max(-shift - 1, 0))) >> max(-shift, 0)
    scale = _scale(multiplier, shift, s["rounding"], bool(np.all(upwards == exact)))
    return None if scale is None else (scale, left)


def _result_scale(s: Signature) -> _Scale | None:
    rectified = s["zero_points"][2] <= int8_limits(s)[0]
    return _scale(s["multipliers"][2], s["shifts"][2], s["rounding"], rectified)


def _scale(multiplier: int, shift: int, rounding: str, ties_upwards: bool) -> _Scale | None:
    if not -31 <= shift <= (-1 if rounding == "double" else -2):
        return None
    if rounding == "single":
        return _Scale("mve_scale_single", multiplier, shift + 1)
    return _Scale("mve_scale_rectified" if ties_upwards else "mve_scale_double", multiplier, shift)
