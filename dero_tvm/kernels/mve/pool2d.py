"""Pooling: greatest elements and averages."""

from __future__ import annotations

import textwrap
from functools import partial

from dero_tvm.schedule.row_offsets import RowOffsets
from relax_passes.operators import Signature, TensorSpec
from relax_passes.operators.fixed_point import int8_limits

from ..c_kernel import SUPPORT, CKernel, Request
from ..kernel_table import register_kernel
from .clipped import Axis


@register_kernel("pool2d", features={"mve"})
def pool2d(request: Request) -> CKernel | None:
    """Greatest elements of 16 channels at a time, averages of four.

    Averages in the input's scale alone, rounded as LiteRT does.
    """
    s = request.signature
    if s.inputs[0].dtype != "int8" or s.inputs[0].shape[0] != 1:
        return None
    rows, columns = Axis.both(s, s["pool_size"])
    if s["kind"] == "max" and request.state is None:
        make = partial(_windows, s, rows, columns, _greatest(s))
    elif s["kind"] == "average" and s["multiplier"] is None and s["rounding"] == "double":
        if s["count_include_pad"] and (rows.clipped or columns.clipped):
            return None
        if s["input_zero_point"] != 0:
            return None
        if request.state is None:
            make = partial(_windows, s, rows, columns, _average(s))
        else:
            make = partial(_running, s, request.state, rows, columns)
    else:
        return None
    return CKernel(f"mve_pool_{s['kind']}", make, support=(SUPPORT / "mve_pool.h",))


def _windows(s: Signature, rows: Axis, columns: Axis, channels: str, offsets: RowOffsets) -> str:
    """All windows of a row; `channels` computes one from `lines`."""
    data = s.inputs[0]
    place = offsets.at("data", f"(top + i * {rows.dilation})", data.row_stride)
    return f"""\
const int32_t top = {rows.origin("row")};
{rows.inside("top")}
for (int32_t pixel = 0; pixel < {s.output.pixels}; ++pixel) {{
  const int32_t left = {columns.origin("pixel")};
{textwrap.indent(columns.inside("left"), "  ")}
  const int8_t *lines[{rows.kernel}] = {{0}};
  for (int32_t i = first_row; i < end_row; ++i) {{
    lines[i - first_row] = data + {place} +
        (left + first_column * {columns.dilation}) * {data.pixel_stride};
  }}
{textwrap.indent(channels, "  ")}
  out += {s.output.pixel_stride};
}}
"""


def _greatest(s: Signature) -> str:
    low, high = int8_limits(s)
    step = s.inputs[0].pixel_stride * s["dilation"][1]
    return f"""\
for (int32_t channel = 0; channel < {s.output.channels}; channel += 16) {{
  const int32_t count = {s.output.channels} - channel;
  mve_pool_greatest(out + channel, lines, end_row - first_row, end_column - first_column, {step},
                    {low}, {high}, count < 16 ? count : 16);
  for (int32_t i = 0; i < end_row - first_row; ++i) {{
    lines[i] += 16;
  }}
}}"""


def _average(s: Signature) -> str:
    low, high = int8_limits(s)
    step = s.inputs[0].pixel_stride * s["dilation"][1]
    return f"""\
const int32_t taps = (end_row - first_row) * (end_column - first_column);
for (int32_t channel = 0; channel < {s.output.channels}; channel += 4) {{
  const int32_t count = {s.output.channels} - channel < 4 ? {s.output.channels} - channel : 4;
  int32_t sums[4] = {{0}};
  for (int32_t i = 0; i < end_row - first_row; ++i) {{
    mve_pool_add(sums, lines[i] + channel, end_column - first_column, {step}, count);
  }}
  mve_pool_average(out + channel, sums, taps, {low}, {high}, count);
}}"""


def _running(
    s: Signature, state: TensorSpec, rows: Axis, columns: Axis, offsets: RowOffsets
) -> str:
    """One row of the image enters the sums of all windows, which cover every row."""
    data, channels = s.inputs[0], s.output.channels
    low, high = int8_limits(s)
    step = data.pixel_stride * s["dilation"][1]
    return f"""\
const int8_t *line = data + {offsets.at("data", "row", data.row_stride)};
for (int32_t pixel = 0; pixel < {s.output.pixels}; ++pixel) {{
  const int32_t left = {columns.origin("pixel")};
{textwrap.indent(columns.inside("left"), "  ")}
  const int32_t columns = end_column - first_column;
  const int8_t *x = line + (left + first_column * {columns.dilation}) * {data.pixel_stride};
  for (int32_t channel = 0; channel < {channels}; channel += 4) {{
    const int32_t count = {channels} - channel < 4 ? {channels} - channel : 4;
    int32_t sums[4] = {{0}};
    for (int32_t i = 0; row > 0 && i < count; ++i) {{
      sums[i] = state[channel + i];
    }}
    mve_pool_add(sums, x + channel, columns, {step}, count);
    for (int32_t i = 0; i < count; ++i) {{
      state[channel + i] = ({state.dtype}_t)sums[i];
    }}
    if (row == {rows.kernel - 1}) {{
      mve_pool_average(out + channel, sums, {rows.kernel} * columns, {low}, {high}, count);
    }}
  }}
  state += {channels};
  out += {s.output.pixel_stride};
}}
"""
