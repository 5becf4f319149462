"""Convolutions of one group, and dense layers, which are convolutions of single pixels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from relax_passes.operators import OperatorClass
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
_POINTWISE = """\
dsp_pointwise_row(w, {pixel}, {count}, weight, (const struct requantization *)factors, {out});
"""
_NARROW_PIXELS = """\
dsp_narrow_row(w, {pixel}, {count}, (const struct narrow_filter *)filters, {out}, {twice});
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
        if channels == _NARROW and filters % 4 == 0:
            records = _narrow_filters(taps, factors)
            if records is not None:
                twice = int(factors.plainly == "twice")
                narrow = partial(_NARROW_PIXELS.format, twice=twice)
                constants = {"window": window, "filters": records}
                return _pixels("dsp_narrow", narrow, constants, factors)
        return _pixels("dsp_pointwise", _POINTWISE.format, constants, factors)
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


def _pixels(
    name: str, call: Callable[..., str], constants: Mapping[str, np.ndarray], factors: Factors
) -> CKernel:
    """A convolution that takes each pixel by itself; `call` makes the statement for some."""
    return CKernel(
        name,
        lambda offsets: offsets.pixels_under() + call(pixel="pixel", count="pixels", out="out"),
        constants,
        support=(*factors.support, SUPPORT / f"{name}.h"),
        pixels=single_pixel_blocks(call),
        ranges=True,
    )


def _narrow_filters(taps: np.ndarray, factors: Factors) -> np.ndarray | None:
    """A ``struct narrow_filter`` for each of `taps` [filters, 8], as int32 [filters, 8].

    None if results need another look than whether int8 holds them.
    """
    records = factors.records if factors.plainly == "twice" else factors.halved
    if records is None:
        return None
    halves = taps[:, [0, 2, 1, 3, 4, 6, 5, 7]].astype("<i2")
    bias, multiplier, added, right = records.T[:, :, None]
    words = np.ascontiguousarray(halves).view("<i4").astype(np.int32)
    return np.concatenate([bias, right, words, multiplier, added], axis=1)
