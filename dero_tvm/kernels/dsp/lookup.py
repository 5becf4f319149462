"""Functions of one int8 variable, as tables."""

from __future__ import annotations

from ..c_kernel import SUPPORT, CKernel, Request
from ..kernel_table import register_kernel

_ROW = "data += row % data_rows * {row};\n"
_FLAT = "dsp_lookup(table, {count}, data, out);\n"
_PIXELS = """\
for (int32_t pixel = 0; pixel < {pixels}; ++pixel) {{
  dsp_lookup(table, {count}, data + pixel * {data_pixel}, out + pixel * {out_pixel});
}}
"""


@register_kernel("lookup", features={"dsp"})
def lookup(request: Request) -> CKernel | None:
    """Eight elements at a time, whose loads and stores are words."""
    s = request.signature
    data, out, table = s.inputs[0], s.output, request.constants.get("table")
    if out.dtype != "int8" or table is None:
        return None
    body = _ROW.format(row=data.row_stride)
    if data.dense and out.dense:
        body += _FLAT.format(count=out.pixels * out.channels)
    else:
        body += _PIXELS.format(
            pixels=out.pixels,
            count=out.channels,
            data_pixel=data.pixel_stride,
            out_pixel=out.pixel_stride,
        )
    return CKernel("dsp_lookup", body, {"table": table}, support=(SUPPORT / "dsp_lookup.h",))
