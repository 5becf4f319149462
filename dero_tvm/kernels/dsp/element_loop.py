"""Calls of functions that treat all elements alike, for as long runs as the layout allows."""

from __future__ import annotations

from dero_tvm.schedule.row_offsets import RowOffsets
from relax_passes.operators import Signature

_FLAT = "{function}({first}{count}, data, out);\n"
_PIXELS = """\
for (int32_t pixel = 0; pixel < {pixels}; ++pixel) {{
  {function}({first}{count}, data + pixel * {data_pixel}, out + pixel * {out_pixel});
}}
"""


def element_loop(
    function: str, signature: Signature, first: str = "", offsets: RowOffsets | None = None
) -> str:
    """Statements for a row: ``function(first, count, data, out)``, at once or pixel by pixel."""
    data, out = signature.inputs[0], signature.output
    first = f"{first}, " if first else ""
    offsets = offsets or RowOffsets()
    if data.dense and out.dense:
        return _FLAT.format(function=function, first=first, count=offsets.elements(signature))
    return _PIXELS.format(
        function=function,
        first=first,
        pixels=offsets.pixels(signature),
        count=out.channels,
        data_pixel=data.pixel_stride,
        out_pixel=out.pixel_stride,
    )
