"""Layers of filters of rank one over time: the newest values of the filters, and what they give."""

from __future__ import annotations

import numpy as np

from dero_tvm.schedule.row_offsets import RowOffsets
from relax_passes.operators import Signature

from ..c_kernel import SUPPORT, CKernel, Request
from ..kernel_table import register_kernel

_SUPPORT = (SUPPORT / "rounds_any.h", SUPPORT / "dsp_svdf.h")
_LIMITS = {"int8": (-128, 127), "int16": (-32768, 32767)}
_UPDATE = """\
const struct svdf *of = (const struct svdf *)layer;
{kind} *kept = state + {state};
data += {data};
(void)memmove(out, kept + 1, (uint32_t)(of->count * of->memory - 1) * {itemsize}u);
for (int32_t f = 0; f < of->count; f += 2) {{
  int32_t other = f + 1 < of->count ? f + 1 : f;
  int32_t sum = starts[f], sum_other = starts[other];
  dsp_svdf_dot(data, weight + f * of->length, weight + other * of->length, of->length, &sum,
               &sum_other);
  out[(f + 1) * of->memory - 1] = ({type})dsp_svdf_value(sum, of);
  out[(other + 1) * of->memory - 1] = ({type})dsp_svdf_value(sum_other, of);
}}
"""
_FILTER = """\
const struct svdf *of = (const struct svdf *)layer;
const {type} *kept = state + {state};
for (int32_t unit = 0; unit < of->count; ++unit) {{
  const {type} *own = weight + unit * of->length;
  int32_t sum = starts[unit];
  {dot}
  out[unit] = (int8_t)dsp_svdf_value(sum, of);
  kept += of->length;
}}
"""
_DOTS = {
    "int8": "int32_t same = 0;\n  dsp_svdf_dot(kept, own, own, of->length, &sum, &same);",
    "int16": "sum = dsp_svdf_dot16(kept, own, of->length, sum);",
}


@register_kernel("svdf_update", features={"dsp"})
def svdf_update(request: Request) -> CKernel | None:
    """The state is moved by one value; four bytes of the data meet two filters at a time."""
    s = request.signature
    data, state, weight = s.inputs
    if state.dtype not in _LIMITS or "weight" not in request.constants:
        return None
    kind = state.dtype
    filters, width = weight.shape
    memory = state.channels // filters
    layer = _layer(s, (filters, width, memory, s["state_zero_point"]), _LIMITS[kind], 0)
    values = request.constants["weight"]
    sums = values.sum(axis=1, dtype=np.int64)
    starts = (-s["input_zero_point"] * sums).astype(np.int32)

    def text(offsets: RowOffsets) -> str:
        return _UPDATE.format(
            kind=f"const {kind}_t",
            type=f"{kind}_t",
            itemsize=state.itemsize,
            data=offsets.at("data", "row", data.row_bytes),
            state=_elements(offsets, "state", state.row_bytes, state.itemsize),
        )

    constants = {"layer": layer, "weight": values, "starts": starts}
    return CKernel(f"dsp_svdf_update_{kind}", text, constants, support=_SUPPORT)


@register_kernel("svdf_filter", features={"dsp"})
def svdf_filter(request: Request) -> CKernel | None:
    """Two or four values at a time."""
    s = request.signature
    state, weight = s.inputs[:2]
    kind = state.dtype
    if kind not in _LIMITS or weight.dtype != kind or "weight" not in request.constants:
        return None
    units = s.output.channels
    span = weight.elements // units
    layer = _layer(s, (units, span, 1, 0), _LIMITS["int8"], s["output_zero_point"])
    values, bias = request.constants["weight"], request.constants["bias"].astype(np.int64)
    starts = bias - s["state_zero_point"] * values.reshape(units, span).sum(axis=1, dtype=np.int64)

    def text(offsets: RowOffsets) -> str:
        place = _elements(offsets, "state", state.row_bytes, state.itemsize)
        return _FILTER.format(type=f"{kind}_t", state=place, dot=_DOTS[kind])

    constants = {"layer": layer, "weight": values, "starts": starts.astype(np.int32)}
    return CKernel(f"dsp_svdf_filter_{kind}", text, constants, support=_SUPPORT)


def _layer(
    s: Signature, numbers: tuple[int, ...], limits: tuple[int, int], zero_point: int
) -> np.ndarray:
    """A ``struct svdf``."""
    factor = (0, s["multiplier"], zero_point, s["shift"])
    return np.array([*numbers, *limits, *factor], np.int32)


def _elements(offsets: RowOffsets, operand: str, row_bytes: int, itemsize: int) -> str:
    """Where row ``row`` of an operand lies, in its elements."""
    place = offsets.at(operand, "row", row_bytes)
    return place if itemsize == 1 else f"({place}) / {itemsize}"
