"""Calls of functions that treat all elements alike, for as long runs as the layout allows."""

from __future__ import annotations

from dero_tvm.schedule.row_offsets import RowOffsets
from relax_passes.operators import Signature, implementation

_PIXELS = """\
for (int32_t pixel = 0; pixel < {pixels}; ++pixel) {{
  {call}
}}
"""


def element_loop(
    function: str, signature: Signature, first: str = "", offsets: RowOffsets | None = None
) -> str:
    """Statements for a row: ``function(first, count, data, ..., out)``, at once or pixel by pixel.

    An operand of another shape than the result has one pixel, which goes with all of them.
    """
    out, operator, offsets = signature.output, implementation(signature), offsets or RowOffsets()
    names = operator.argument_names(signature)
    rows = {names[i]: signature.inputs[i] for i in operator.row_arguments(signature)}
    shared = [first] if first else []
    if out.dense and all(spec.dense and spec.shape == out.shape for spec in rows.values()):
        return f"{function}({', '.join([*shared, offsets.elements(signature), *rows, 'out'])});\n"
    steps = {name: spec.pixel_stride * (spec.shape == out.shape) for name, spec in rows.items()}
    steps["out"] = out.pixel_stride
    places = [f"{name} + pixel * {step}" for name, step in steps.items()]
    call = f"{function}({', '.join([*shared, str(out.channels), *places])});"
    return _PIXELS.format(pixels=offsets.pixels(signature), call=call)
