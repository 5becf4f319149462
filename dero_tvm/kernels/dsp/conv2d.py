"""Convolutions of one group."""

from __future__ import annotations

import numpy as np

from relax_passes.operators import OperatorClass

from ..c_kernel import SUPPORT, CKernel, Request
from ..table import register_kernel
from .factors import pack_factors
from .pairs import greatest_sums, pack_pairs

_TALLEST = 16  # DSP_CONV2D_TALLEST


@register_kernel(
    "conv2d", features={"dsp"}, classes={OperatorClass.SPATIAL, OperatorClass.POINTWISE}
)
def conv2d(request: Request) -> CKernel | None:
    """One pixel by four filters at a time."""
    s = request.signature
    data, weight = s.inputs[:2]
    filters, kernel_h, kernel_w, channels = weight.shape
    if data.dtype != "int8" or s["groups"] != 1 or data.shape[0] != 1 or kernel_h > _TALLEST:
        return None
    if s["dilation"] != (1, 1) or channels % 4 or (kernel_w > 1 and not data.dense):
        return None
    array = np.pad(request.constants["weight"], ((0, -filters % 4), (0, 0), (0, 0), (0, 0)))
    array = array.reshape(len(array), -1)
    words = pack_pairs(array)
    if words is None:
        return None
    factors = pack_factors(request.constants, s, greatest_sums(array)[:filters], 4)
    minimum = -128 if s["minimum"] is None else max(s["minimum"], -128)
    maximum = 127 if s["maximum"] is None else min(s["maximum"], 127)
    body = f"""\
static const struct dsp_conv2d geometry = {{
  .in_height = {data.shape[1]}, .in_width = {data.shape[2]},
  .in_pixel = {data.pixel_stride}, .in_row = {data.row_stride},
  .out_width = {s.output.shape[2]}, .out_pixel = {s.output.pixel_stride},
  .filters = {filters}, .channels = {channels},
  .kernel_h = {kernel_h}, .kernel_w = {kernel_w},
  .stride_h = {s["strides"][0]}, .stride_w = {s["strides"][1]},
  .top = {s["padding"][0]}, .left = {s["padding"][1]},
  .zero_point = {s["input_zero_point"]}, .minimum = {minimum}, .maximum = {maximum},
  .rounding = {factors.rounding},
}};
dsp_conv2d_row(&geometry, row, data, data_rows, weight,
               (const struct requantization *)factors, out);
"""
    return CKernel(
        "dsp_conv2d",
        body,
        {"weight": words, "factors": factors.records},
        support=(SUPPORT / "dsp_conv2d.c",),
    )
