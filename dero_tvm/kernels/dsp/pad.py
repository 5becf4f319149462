"""Padding of int8 images, by the memory functions of the C library."""

from __future__ import annotations

from ..c_kernel import CKernel, Request
from ..kernel_table import register_kernel


@register_kernel("pad", features={"dsp"})
def pad(request: Request) -> CKernel | None:
    """One copy and two fills a row."""
    s = request.signature
    data, out = s.inputs[0], s.output
    before, after = s["pad_before"], s["pad_after"]
    if data.dtype != "int8" or len(data.shape) != 4 or not (data.dense and out.dense):
        return None
    if any((before[0], after[0], before[3], after[3])) or data.shape[0] > 1:
        return None
    value, top, bottom = int(s["value"]), before[1], before[1] + data.rows
    left, right = before[2] * data.channels, after[2] * data.channels
    lines = []
    if data.rows < out.rows:
        lines += [
            f"if (row < {top} || row >= {bottom}) {{",
            f"  (void)memset(out, {value}, {out.row_bytes});",
            "  return;",
            "}",
        ]
    if left:
        lines.append(f"(void)memset(out, {value}, {left});")
    lines.append(
        f"(void)memcpy(out + {left}, data + (row - {top}) % data_rows * {data.row_bytes}, "
        f"{data.row_bytes});"
    )
    if right:
        lines.append(f"(void)memset(out + {left + data.row_bytes}, {value}, {right});")
    return CKernel("pad", "\n".join(lines))
