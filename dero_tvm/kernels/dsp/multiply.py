"""Products of two tensors of one shape, or of one with a number for each channel."""

from __future__ import annotations

from math import prod

from relax_passes.operators import TensorSpec

from ..c_kernel import SUPPORT, CKernel, Request
from ..kernel_table import register_kernel
from ..window_struct import clamp

_BODY = """\
static const struct dsp_multiplication with = {{
  .zero_a = {0}, .zero_b = {1}, .zero_out = {2}, .factor = {{{multiplier}, {right}}},
  .twice = {twice}, .minimum = {minimum}, .maximum = {maximum},
}};
a += row % a_rows * {a_row};
b += row % b_rows * {b_row};
"""
_FLAT = "dsp_multiply(&with, {count}, a, b, out);\n"
_PIXELS = """\
for (int32_t pixel = 0; pixel < {pixels}; ++pixel) {{
  dsp_multiply(&with, {count}, a + pixel * {a_pixel}, b + pixel * {b_pixel},
               out + pixel * {out_pixel});
}}
"""


@register_kernel("multiply", features={"dsp"})
def multiply(request: Request) -> CKernel | None:
    """Four elements at a time."""
    s = request.signature
    a, b, out = *s.inputs, s.output
    if out.dtype != "int8" or not all(_fits(spec, out) for spec in (a, b)):
        return None
    zero_a, zero_b, zero_out = s["zero_points"]
    right = -s["shift"]
    # A product has 17 bits and is doubled; a factor below 1 leaves the rest for the zero point.
    if not 0 <= right <= 30 or abs(zero_out) << right >= 1 << 30:
        return None
    minimum, maximum = clamp(s)
    body = _BODY.format(
        *(-zero_a, -zero_b, zero_out),
        multiplier=s["multiplier"],
        right=right,
        twice=int(s["rounding"] == "double"),
        minimum=minimum,
        maximum=maximum,
        a_row=a.row_stride,
        b_row=b.row_stride,
    )
    if all(spec.dense and spec.shape == out.shape for spec in (a, b, out)):
        body += _FLAT.format(count=out.pixels * out.channels)
    else:
        body += _PIXELS.format(
            pixels=out.pixels,
            count=out.channels,
            a_pixel=a.pixel_stride if a.shape == out.shape else 0,
            b_pixel=b.pixel_stride if b.shape == out.shape else 0,
            out_pixel=out.pixel_stride,
        )
    return CKernel("dsp_multiply", body, support=(SUPPORT / "dsp_multiply.h",))


def _fits(operand: TensorSpec, out: TensorSpec) -> bool:
    per_channel = operand.channels == out.channels and prod(operand.shape[:-1]) == 1
    return operand.shape == out.shape or per_channel
