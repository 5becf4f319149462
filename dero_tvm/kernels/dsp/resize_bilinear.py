"""Bilinear resizing of int8 images."""

from __future__ import annotations

from typing import Any

from dero_tvm.schedule.row_offsets import RowOffsets
from relax_passes.operators import Signature
from relax_passes.operators.bilinear_axis import Axis
from relax_passes.operators.fixed_point import int8_limits
from relax_passes.operators.resize_bilinear import axes_of

from ..c_kernel import SUPPORT, CKernel, Request
from ..kernel_table import register_kernel

_WIDEST = 1 << 14  # parts of a row: a weight, and one and a half times it, fit a half
_LARGEST = 1 << 22  # the sum of all weights, 512 times which fits a word
_ROUNDINGS = {"double": "ROUND_ANY_TWICE", "single": "ROUND_ANY_ONCE", "even": "ROUND_ANY_EVEN"}


@register_kernel("resize_bilinear", features={"dsp"})
def resize_bilinear(request: Request) -> CKernel | None:
    """Four channels of a pixel at a time."""
    s = request.signature
    if s.inputs[0].dtype != "int8" or s.inputs[0].shape[0] != 1:
        return None
    if s["arithmetic"] == "litert_unsigned":  # which is floating-point
        return None
    down, across = axes_of(s)
    if down.one > _WIDEST or down.one * across.one > _LARGEST or s["rounding"] not in _ROUNDINGS:
        return None
    support = (SUPPORT / "rounds_any.h", SUPPORT / "dsp_bilinear.h")
    return CKernel("dsp_resize_bilinear", lambda offsets: _body(s, offsets), support=support)


def _body(s: Signature, offsets: RowOffsets) -> str:
    data, output = s.inputs[0], s.output
    down, across = axes_of(s)
    kind, result = _result(s, down.one * across.one)
    pixel = data.pixel_stride
    fields = ", ".join(f".{name} = {value}" for name, value in result.items())
    return f"""\
const struct bilinear_result result = {{{fields}}};
{_place("y", "row", down)}
const int8_t *top = data + {offsets.at("data", "y_before", data.row_stride)};
const int8_t *bottom = data + {offsets.at("data", "y_after", data.row_stride)};
const int32_t weights = dsp_halves({down.one} - y_part, y_part);
for (int32_t column = 0; column < {output.shape[2]}; ++column) {{
{_place("x", "column", across)}
  const struct bilinear_place place = {{
    top + x_before * {pixel}, top + x_after * {pixel},
    bottom + x_before * {pixel}, bottom + x_after * {pixel},
    weights, {across.one} - x_part, x_part,
  }};
  dsp_bilinear_pixel({kind}, &result, place, {output.channels}, out);
  out += {output.pixel_stride};
}}
"""


def _place(name: str, index: str, axis: Axis) -> str:
    """Statements that declare the neighbours before and after, and the weight of the latter."""
    last = axis.length - 1
    lines = [f"int32_t {name} = {index} * {axis.numerator} + {axis.offset};"]
    if not axis.rounded:
        limit = last * axis.one
        lines.append(f"{name} = {name} < 0 ? 0 : {name} > {limit} ? {limit} : {name};")
    lines += [
        f"const int32_t {name}_whole = {name} < 0 ? 0 : {name} / {axis.one};",
        f"const int32_t {name}_before = {name}_whole < {last} ? {name}_whole : {last};",
        f"const int32_t {name}_part = {name} - {axis.one} * {name}_before;",
        f"const int32_t {name}_between = {name}_part > 0 && {name}_before < {last};",
        f"const int32_t {name}_after = {name}_before + {name}_between;",
    ]
    return "\n".join(lines)


def _result(s: Signature, one: int) -> tuple[str, dict[str, Any]]:
    """How a sum becomes int8, and the fields of ``struct bilinear_result``."""
    if s["arithmetic"] == "litert":
        return "BILINEAR_LITERT", {"one": one.bit_length() - 1}
    low, high = int8_limits(s)
    fields = {
        "zero": s["input_zero_point"] * one,
        "one": one,
        "even": int(s["rounding"] != "double" and one % 2 == 0),
        "zero_point": s["output_zero_point"],
        "minimum": low,
        "maximum": high,
    }
    if s["multiplier"] is not None:
        factor = f"{{.multiplier = {s['multiplier']}, .right = {s['shift']}}}"
        return "BILINEAR_SCALE", fields | {"to": factor, "rounding": _ROUNDINGS[s["rounding"]]}
    if one & (one - 1) == 0:
        return "BILINEAR_SHIFT", fields | {
            "one": one.bit_length() - 1,
            "even": fields["even"] if one > 1 else 0,
        }
    return "BILINEAR_DIVIDE", fields
