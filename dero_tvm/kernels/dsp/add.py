"""Sums and differences of two tensors of one shape."""

from __future__ import annotations

from dero_tvm.schedule.row_offsets import RowOffsets
from relax_passes.operators import Signature
from relax_passes.operators.fixed_point import int8_limits

from ..c_kernel import SUPPORT, CKernel, ElementRun, Request
from ..halved_operand import halved_first, is_halved
from ..kernel_table import register_kernel
from .element_loop import element_loop

_HALF, _EXACT, _RIGHT = "DSP_HALF", "DSP_EXACT", "DSP_RIGHT"


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
    zero_out = s["zero_points"][2]
    if abs(zero_out) << -s["shifts"][2] >= 1 << 30:
        return None
    order = halved_first(s)
    first, second = (_operand(s, index) for index in order)
    factor = (s["multipliers"][2], -s["shifts"][2])
    numbers = (order[0], *first[1], *second[1], zero_out, *factor, minimum, maximum)
    flags = [s.operator == "dero.add", s["rounding"] == "double", minimum > -128 or maximum < 127]
    scalings = [first[0], second[0], _RIGHT if factor[1] else _EXACT]
    kind = ", ".join([*scalings, *(str(int(flag)) for flag in flags)])
    with_ = f"(const struct dsp_addition *)numbers, {kind}"

    def text(offsets: RowOffsets) -> str:
        literals = ", ".join(map(str, numbers))
        loop = element_loop("dsp_add", s, with_, offsets)
        return f"static const int32_t numbers[] = {{{literals}}};\n{offsets.rows_of(s, 'ab')}{loop}"

    def run(a: str, b: str, out: str, count: str) -> str:
        return f"dsp_add({with_}, {count}, {a}, {b}, {out});\n"

    return CKernel(
        "dsp_add",
        text,
        support=(SUPPORT / "dsp_add.h",),
        elements=ElementRun("", run, numbers),
        ranges=True,
    )


def _operand(s: Signature, index: int) -> tuple[str, tuple[int, ...]]:
    """How `c/dsp_add.h` scales an operand, and its ``struct dsp_operand``."""
    left, multiplier, right = s["left_shift"], s["multipliers"][index], -s["shifts"][index]
    zero = -s["zero_points"][index]
    if is_halved(s, index):
        return _HALF, (zero, left - 1, multiplier, right)
    return _RIGHT if right else _EXACT, (zero, left + 1, multiplier, right)
