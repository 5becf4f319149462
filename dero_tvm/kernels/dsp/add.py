"""Sums and differences of two tensors of one shape."""

from __future__ import annotations

from dero_tvm.schedule.row_offsets import RowOffsets
from relax_passes.operators import TensorSpec
from relax_passes.operators.fixed_point import int8_limits

from ..c_kernel import SUPPORT, CKernel, ElementRun, Request
from ..kernel_table import register_kernel

_BODY = """\
static const struct dsp_addition with = {{
  .zero_a = {0}, .zero_b = {1}, .zero_out = {2}, .left = {left},
  .a = {{{a}}}, .b = {{{b}}}, .out = {{{out}}},
  .sign = {sign}, .twice = {twice}, .minimum = {minimum}, .maximum = {maximum},
}};
"""
_RUN = "dsp_add(&with, {count}, {a}, {b}, {out});\n"
_PIXELS = """\
for (int32_t pixel = 0; pixel < {pixels}; ++pixel) {{
  dsp_add(&with, {count}, a + pixel * {a_pixel}, b + pixel * {b_pixel}, out + pixel * {out_pixel});
}}
"""


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
    dense = all(spec.dense for spec in (a, b, out))

    def text(offsets: RowOffsets) -> str:
        if dense:
            loop = _RUN.format(count=offsets.elements(s), a="a", b="b", out="out")
        else:
            loop = _pixels(a, b, out, offsets.pixels(s))
        return f"{body}{offsets.rows_of(s, 'ab')}{loop}"

    run = ElementRun(body, lambda a, b, out, count: _RUN.format(a=a, b=b, out=out, count=count))
    return CKernel("dsp_add", text, support=(SUPPORT / "dsp_add.h",), elements=run, ranges=True)


def _pixels(a: TensorSpec, b: TensorSpec, out: TensorSpec, pixels: str) -> str:
    return _PIXELS.format(
        pixels=pixels,
        count=out.channels,
        a_pixel=a.pixel_stride,
        b_pixel=b.pixel_stride,
        out_pixel=out.pixel_stride,
    )
