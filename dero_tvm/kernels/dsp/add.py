"""Sums and differences of two tensors of one shape."""

from __future__ import annotations

from dero_tvm.schedule.row_offsets import RowOffsets
from relax_passes.operators.fixed_point import int8_limits

from ..c_kernel import SUPPORT, CKernel, ElementRun, Request
from ..kernel_table import register_kernel
from .element_loop import element_loop

_BODY = """\
static const struct dsp_addition with = {{
  .zero_a = {0}, .zero_b = {1}, .zero_out = {2}, .left = {left},
  .a = {{{a}}}, .b = {{{b}}}, .out = {{{out}}},
  .sign = {sign}, .twice = {twice}, .minimum = {minimum}, .maximum = {maximum},
}};
"""
_RUN = "dsp_add(&with, {count}, {a}, {b}, {out});\n"


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
    factors = [f"{m}, {-shift}" for m, shift in zip(s["multipliers"], s["shifts"])]
    values = dict(zip(("a", "b", "out"), factors), left=s["left_shift"])
    body = _BODY.format(
        *(-zero_a, -zero_b, zero_out),
        **values,
        sign=1 if s.operator == "dero.add" else -1,
        twice=int(s["rounding"] == "double"),
        minimum=minimum,
        maximum=maximum,
    )

    def text(offsets: RowOffsets) -> str:
        return f"{body}{offsets.rows_of(s, 'ab')}{element_loop('dsp_add', s, '&with', offsets)}"

    run = ElementRun(body, lambda a, b, out, count: _RUN.format(a=a, b=b, out=out, count=count))
    return CKernel("dsp_add", text, support=(SUPPORT / "dsp_add.h",), elements=run, ranges=True)
