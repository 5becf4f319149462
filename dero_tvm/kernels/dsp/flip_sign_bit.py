"""uint8 to int8 and back."""

from __future__ import annotations

from ..c_kernel import SUPPORT, CKernel, Request
from ..kernel_table import register_kernel

_FLAT = "dsp_flip_sign_bits({count}, data, out);\n"
_PIXELS = """\
for (int32_t pixel = 0; pixel < {pixels}; ++pixel) {{
  dsp_flip_sign_bits({count}, data + pixel * {data_pixel}, out + pixel * {out_pixel});
}}
"""


@register_kernel("flip_sign_bit", features={"dsp"})
def flip_sign_bit(request: Request) -> CKernel | None:
    """Eight elements at a time, as two words."""
    s = request.signature
    data, out = s.inputs[0], s.output
    if data.dense and out.dense:
        loop = _FLAT.format(count=out.pixels * out.channels)
    else:
        loop = _PIXELS.format(
            pixels=out.pixels,
            count=out.channels,
            data_pixel=data.pixel_stride,
            out_pixel=out.pixel_stride,
        )
    return CKernel(
        "dsp_flip_sign_bits",
        lambda offsets: offsets.rows_of(s) + loop,
        support=(SUPPORT / "dsp_flip_sign_bits.h",),
    )
