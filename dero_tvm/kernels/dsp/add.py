"""Sums and differences of two tensors of one shape."""

from __future__ import annotations

import numpy as np

from dero_tvm.schedule.row_offsets import RowOffsets
from relax_passes.operators.fixed_point import int8_limits

from ..c_kernel import SUPPORT, CKernel, ElementRun, Request
from ..kernel_table import register_kernel
from .element_loop import element_loop

_EXACT = 0  # bits that a rounded product is shifted right


@register_kernel("subtract", features={"dsp"})
@register_kernel("add", features={"dsp"})
def add(request: Request) -> CKernel | None:
    """Four elements at a time."""
    s = request.signature
    a, b, out = *s.inputs, s.output
    if (
        s["rounding"] == "even"
        or out.dtype != "int8"
        or a.shape != out.shape
        or b.shape != out.shape
    ):
        return None
    # A value is below 2^9 and is doubled; factors below 1 leave room for the sum of two.
    if max(s["shifts"]) > 0 or min(s["shifts"]) < -30 or s["left_shift"] > 20:
        return None
    minimum, maximum = int8_limits(s)
    zero_a, zero_b, zero_out = s["zero_points"]
    if abs(zero_out) << -s["shifts"][2] >= 1 << 30:
        return None
    zeros = (-zero_a, -zero_b, zero_out)
    first, second, of_sum = zip(zeros, s["multipliers"], [-shift for shift in s["shifts"]])
    adds = s.operator == "dero.add"
    # Of the two operands one mostly has the factor 1/2: it goes first, so that texts are equal.
    turned = adds and first[2] != _EXACT and second[2] == _EXACT
    if turned:
        first, second = second, first
    numbers = (int(turned), s["left_shift"], *first, *second, *of_sum, minimum, maximum)
    exact = [right == _EXACT for _, _, right in (first, second, of_sum)]
    flags = [*exact, adds, s["rounding"] == "double", minimum > -128 or maximum < 127]
    kind = ", ".join(str(int(flag)) for flag in flags)
    with_ = f"(const struct dsp_addition *)numbers, {kind}"

    def text(offsets: RowOffsets) -> str:
        return f"{offsets.rows_of(s, 'ab')}{element_loop('dsp_add', s, with_, offsets)}"

    def run(a: str, b: str, out: str, count: str) -> str:
        return f"dsp_add({with_}, {count}, {a}, {b}, {out});\n"

    return CKernel(
        "dsp_add",
        text,
        {"numbers": np.array(numbers, np.int32)},
        support=(SUPPORT / "dsp_add.h",),
        elements=ElementRun("", run, numbers),
        ranges=True,
    )
