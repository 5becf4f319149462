"""Fully connected layers."""

from __future__ import annotations

import textwrap

import numpy as np

from dero_tvm.schedule.row_offsets import RowOffsets

from ..c_kernel import SUPPORT, CKernel, PixelBlocks, Request
from ..kernel_table import register_kernel
from .dot import channels_loop, pack_factors, pack_weights
from .requantization import requantization


@register_kernel("dense", features={"mve"})
def dense(request: Request) -> CKernel | None:
    """One pixel by four units at a time, over the whole depth."""
    s = request.signature
    data, output = s.inputs[0], s.output
    if data.dtype != "int8":
        return None
    weight = request.constants["weight"]
    to = requantization(s, request.constants, weight.sum(axis=1, dtype=np.int64))
    if to is None:
        return None

    def block(_pixel: str, _count: str, result: str) -> str:
        return channels_loop(["data"], data.channels, False, output.channels, to, result)

    loop = block("", "1", "out")

    def body(offsets: RowOffsets) -> str:
        return f"""\
{offsets.rows_of(s)}for (int32_t pixel = 0; pixel < {offsets.pixels(s)}; ++pixel) {{
{textwrap.indent(loop, "  ")}
  data += {data.pixel_stride};
  out += {output.pixel_stride};
}}
"""

    constants = {"weights": pack_weights(weight[:, None, :]), "factors": pack_factors(to)}
    support = (SUPPORT / "mve_dot.h", SUPPORT / "mve_requantize.h")
    return CKernel(
        "mve_dense",
        body,
        constants,
        support=support,
        pixels=PixelBlocks(
            lambda offsets: offsets.rows_of(s),
            lambda *parts: f"{block(*parts)}\ndata += {data.pixel_stride};",
            most=1,
        ),
        ranges=True,
    )
