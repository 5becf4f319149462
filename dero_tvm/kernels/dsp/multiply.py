"""Products of two tensors of one shape, or of one with a number for each channel."""

from __future__ import annotations

from math import prod

from dero_tvm.schedule.row_offsets import RowOffsets
from relax_passes.operators import TensorSpec
from relax_passes.operators.fixed_point import int8_limits

from ..c_kernel import SUPPORT, CKernel, ElementRun, Request
from ..kernel_table import register_kernel
from .element_loop import element_loop

_BODY = """\
static const struct dsp_multiplication with = {{
  .zero_a = {0}, .zero_b = {1}, .zero_out = {2}, .factor = {{{multiplier}, {right}}},
  .twice = {twice}, .minimum = {minimum}, .maximum = {maximum},
}};
"""
_RUN = "dsp_multiply(&with, {count}, {a}, {b}, {out});\n"


@register_kernel("multiply", features={"dsp"})
def multiply(request: Request) -> CKernel | None:
    """Four elements at a time."""
    s = request.signature
    a, b, out = *s.inputs, s.output
    if (
        s["rounding"] == "even"
        or out.dtype != "int8"
        or not all(_fits(spec, out) for spec in (a, b))
    ):
        return None
    zero_a, zero_b, zero_out = s["zero_points"]
    right = -s["shift"]
    # A product has 17 bits and is doubled; a factor below 1 leaves the rest for the zero point.
    if not 0 <= right <= 30 or abs(zero_out) << right >= 1 << 30:
        return None
    minimum, maximum = int8_limits(s)
    body = _BODY.format(
        *(-zero_a, -zero_b, zero_out),
        multiplier=s["multiplier"],
        right=right,
        twice=int(s["rounding"] == "double"),
        minimum=minimum,
        maximum=maximum,
    )
    loop = element_loop("dsp_multiply", s, "&with")

    def text(offsets: RowOffsets) -> str:
        return f"{body}{offsets.rows_of(s, 'ab')}{loop}"

    run = ElementRun(body, lambda a, b, out, count: _RUN.format(a=a, b=b, out=out, count=count))
    return CKernel("dsp_multiply", text, support=(SUPPORT / "dsp_multiply.h",), elements=run)


def _fits(operand: TensorSpec, out: TensorSpec) -> bool:
    per_channel = operand.channels == out.channels and prod(operand.shape[:-1]) == 1
    return operand.shape == out.shape or per_channel
