"""Convolutions of one group, and dense layers, which are convolutions of single pixels."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np

from relax_passes.operators import OperatorClass, Signature
from relax_passes.operators.sum_range import SumRange

from ..c_kernel import SUPPORT, CKernel, Request
from ..kernel_table import register_kernel
from ..window_struct import pack_window, single_pixel_blocks, window_blocks
from .factors import Factors, pack_factors
from .pairs import pack_pairs

_DIRECT = """\
dsp_conv2d_row({w}, vertical, rows, weight, (const struct requantization *)factors, {out});
"""
_MOST_PADDING = 2048  # bytes by which one or two filters of many taps may grow to four
_PIXELS = """\
{function}(w, {pixel}, {count}, weight, (const struct requantization *)factors, {out});
"""
_NARROW = 8  # channels of pixels that stay in registers
_GATHER = """\
dsp_conv2d_gather_row({w}, vertical, rows, weight, (const struct requantization *)factors, {out},
                      scratch);
"""


@register_kernel("dense", features={"dsp"})
@register_kernel(
    "conv2d", features={"dsp"}, classes={OperatorClass.SPATIAL, OperatorClass.POINTWISE}
)
def conv2d(request: Request) -> CKernel | None:
    """One pixel by four filters at a time."""
    s = request.signature
    data = s.inputs[0]
    if data.dtype != "int8" or s.attrs.get("groups", 1) != 1:
        return None
    weight = request.constants["weight"]
    if weight.ndim == 2:  # of a dense layer
        weight = weight[:, None, None, :]
    filters, kernel_h, kernel_w, channels = weight.shape
    side_by_side = kernel_w == 1 or (data.dense and s["dilation"][1] == 1)
    direct = channels % 4 == 0 and side_by_side
    taps = weight.reshape(filters, -1)
    sums = SumRange.of(taps, s["input_zero_point"])
    words = pack_pairs(np.pad(taps, ((0, -filters % 4), (0, -taps.shape[1] % 4))), sums)
    factors = pack_factors(request.constants, s, sums)
    window = pack_window(s, (kernel_h, kernel_w), factors.rounding)
    if words is None or window is None:
        return None
    padding = words.nbytes - taps.size
    if padding > _MOST_PADDING and padding > taps.size // 2:
        return None
    constants = {"window": window, "weight": words, "factors": factors.records}
    if direct and kernel_h == kernel_w == 1 and not any(s.attrs.get("padding", ())):
        return _pixels(s, constants, factors)
    name, call = ("dsp_conv2d", _DIRECT) if direct else ("dsp_conv2d_gather", _GATHER)
    return CKernel(
        name,
        lambda offsets: offsets.under() + call.format(w="w", out="out"),
        constants,
        scratch=0 if direct else words.shape[1],
        support=(*factors.support, SUPPORT / f"{name}.h"),
        pixels=window_blocks(call.format),
        ranges=True,
    )


def _pixels(s: Signature, constants: Mapping[str, np.ndarray], factors: Factors) -> CKernel:
    """A convolution that takes each pixel by itself."""
    name, function = "dsp_pointwise", "dsp_pointwise_row"
    if s.inputs[0].channels == _NARROW and s.output.channels % 4 == 0:
        records = factors.records if factors.plainly == "twice" else factors.halved
        if records is not None:
            name, function = "dsp_narrow", f"dsp_narrow_{factors.plainly}"
            constants = {**constants, "factors": records}
    call = partial(_PIXELS.format, function=function)
    return CKernel(
        name,
        lambda offsets: offsets.pixels_under() + call(pixel="pixel", count="pixels", out="out"),
        constants,
        support=(*factors.support, SUPPORT / f"{name}.h"),
        pixels=single_pixel_blocks(call),
        ranges=True,
    )
