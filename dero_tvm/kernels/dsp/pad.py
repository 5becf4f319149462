"""Padding of int8 images, by the memory functions of the C library."""

from __future__ import annotations

from ..c_kernel import CKernel, Request
from ..table import register_kernel

_INSIDE = """\
const int8_t *from = data + {line} % data_rows * {row_bytes};
memset(out, {value}, {left});
memcpy(out + {left}, from, {row_bytes});
memset(out + {after}, {value}, {right});
"""
_ROWS = """\
if (row < {top} || row >= {bottom}) {{
  memset(out, {value}, {out_bytes});
  return;
}}
"""


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
    top, left = before[1], before[2] * data.channels
    values = {
        "line": f"(row - {top})" if top else "row",
        "row_bytes": data.row_bytes,
        "value": int(s["value"]),
        "left": left,
        "right": after[2] * data.channels,
        "after": left + data.row_bytes,
        "top": top,
        "bottom": top + data.rows,
        "out_bytes": out.row_bytes,
    }
    body = _INSIDE if data.rows == out.rows else _ROWS + _INSIDE
    return CKernel("pad", body.format(**values))
