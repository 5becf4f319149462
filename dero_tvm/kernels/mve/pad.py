"""Padding of an image's height and width."""

from __future__ import annotations

from ..c_kernel import SUPPORT, CKernel, Request
from ..kernel_table import register_kernel


@register_kernel("pad", features={"mve"})
def pad(request: Request) -> CKernel | None:
    """A row at a time, filled and copied by vectors."""
    s = request.signature
    data, output = s.inputs[0], s.output
    before, after = s["pad_before"], s["pad_after"]
    if data.dtype != "int8" or len(data.shape) != 4 or not data.dense or not output.dense:
        return None
    if data.shape[0] != 1 or before[0] or after[0] or before[3] or after[3]:
        return None
    value = int(s["value"])
    left, right = before[2] * data.channels, after[2] * data.channels
    parts = [
        f"mve_fill(out, {value}, {left});" if left else "",
        f"mve_copy(out + {left}, data + y % data_rows * {data.row_stride}, {data.row_stride});",
        f"mve_fill(out + {left + data.row_stride}, {value}, {right});" if right else "",
    ]
    lines = "\n".join(f"  {part}" for part in parts if part)
    body = f"""\
const int32_t y = row - {before[1]};
if (y < 0 || y >= {data.shape[1]}) {{
  mve_fill(out, {value}, {output.row_stride});
}} else {{
{lines}
}}
"""
    return CKernel("mve_pad", body, support=(SUPPORT / "mve_copy.h",))
