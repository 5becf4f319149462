"""Convolutions and dense layers of int16 data with int8 weights, whose sums fit 32 bits.

One pixel meets four filters at a time, of which as many weights as a core takes at once lie side by
side.  What differs from core to core is the function that computes a pixel.
"""

from __future__ import annotations

import numpy as np

from relax_passes.operators.sum_range import SumRange

from .c_kernel import SUPPORT, CKernel, Request
from .dsp.factors import pack_factors
from .window_struct import pack_window

_DIRECT = """\
int16_conv2d_row(w, vertical, rows, weight, (const struct requantization *)factors, (int8_t *)out,
                 {pixel});
"""
_GATHER = """\
int16_conv2d_gather_row(w, vertical, rows, weight, (const struct requantization *)factors,
                        (int8_t *)out, scratch, {lanes}, {pixel});
"""


def layer(request: Request, core: str, order: list[int]) -> CKernel | None:
    """The kernel of a convolution of one group or a dense layer; None if it is another.

    core: what ``c/<core>_pixel.h`` and its function are called after.
    order: the places that a filter's weights have among those that are taken at once.
    """
    s = request.signature
    data = s.inputs[0]
    if not has_narrow_sums(request) or s.attrs.get("groups", 1) != 1:
        return None
    weight = request.constants["weight"]
    if weight.ndim == 2:  # of a dense layer
        weight = weight[:, None, None, :]
    filters, kernel_h, kernel_w, channels = weight.shape
    lanes = len(order)
    side_by_side = kernel_w == 1 or (data.dense and s["dilation"][1] == 1)
    direct = channels % lanes == 0 and side_by_side
    taps = weight.reshape(filters, -1)
    factors = pack_factors(request.constants, s, SumRange.of(taps, 0, "int16"))
    window = pack_window(s, (kernel_h, kernel_w), factors.rounding)
    if window is None:
        return None
    padded = np.pad(taps, ((0, -filters % 4), (0, -taps.shape[1] % lanes)))
    call = (_DIRECT if direct else _GATHER).format(pixel=f"{core}_pixel", lanes=lanes)
    return CKernel(
        f"{core}_conv2d" if direct else f"{core}_conv2d_gather",
        lambda offsets: offsets.under() + call,
        {"window": window, "weight": _pack(padded, order), "factors": factors.records},
        scratch=0 if direct else padded.shape[1] * data.itemsize,
        support=(SUPPORT / f"{core}_pixel.h", SUPPORT / "int16_conv2d.h"),
    )


def has_narrow_sums(request: Request) -> bool:
    """Whether data are int16 and sums int32, with what these kernels take for granted."""
    s = request.signature
    types = s.inputs[0].dtype, request.constants["bias"].dtype.name
    return (
        types == ("int16", "int32")
        and s["rounding"] in ("double", "reduced")
        and not (s["input_zero_point"] or s["weight_zero_point"])
    )


def words_of(weight: np.ndarray) -> np.ndarray:
    """int8 numbers [..., 4 n] as int32 words [..., n]."""
    return np.ascontiguousarray(weight).astype("<i1").view("<i4").astype(np.int32)


def _pack(taps: np.ndarray, order: list[int]) -> np.ndarray:
    """Words of weights [filters, taps], a word a tap of four filters: int32 [filters / 4, taps]."""
    filters, length = taps.shape
    parts = taps.reshape(filters // 4, 4, -1, len(order))[..., order].transpose(0, 2, 1, 3)
    return words_of(parts.reshape(filters // 4, 4 * length))
