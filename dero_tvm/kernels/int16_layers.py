"""Convolutions and dense layers of int16 data with int8 weights.

One pixel meets four filters at a time, of which as many weights as a core takes at once lie side by
side.  What differs from core to core is the function that computes a pixel.
"""

from __future__ import annotations

import numpy as np

from relax_passes.operators.sum_range import SumRange

from .c_kernel import SUPPORT, CKernel, Request
from .dsp.factors import Factors, pack_factors
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
    wide = request.constants["bias"].dtype == np.int64
    if not is_int16(request) or s.attrs.get("groups", 1) != 1:
        return None
    weight = request.constants["weight"]
    if weight.ndim == 2:  # of a dense layer
        weight = weight[:, None, None, :]
    filters, kernel_h, kernel_w, channels = weight.shape
    lanes = len(order)
    side_by_side = kernel_w == 1 or (data.dense and s["dilation"][1] == 1)
    direct = channels % lanes == 0 and side_by_side
    taps = weight.reshape(filters, -1)
    if wide:
        factors = _wide_factors(request)
        core = f"{core}_wide"
    else:
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
        support=(*factors.support, SUPPORT / f"{core}_pixel.h", SUPPORT / "int16_conv2d.h"),
    )


def is_int16(request: Request) -> bool:
    """Whether data are int16, with what these kernels take for granted."""
    s = request.signature
    roundings = {"int32": ("double", "reduced"), "int64": ("reduced",)}
    return s.inputs[0].dtype == "int16" and (
        s["rounding"] in roundings[request.constants["bias"].dtype.name]
        and not (s["input_zero_point"] or s["weight_zero_point"] or s["output_zero_point"])
    )


def _wide_factors(request: Request) -> Factors:
    """Records of a layer with int64 sums: see ``c/int16_wide_pixel.h``."""
    bias, multiplier, shift = (
        request.constants[name].astype(np.int64) for name in ("bias", "multiplier", "shift")
    )
    low = (bias & 0xFFFFFFFF).astype(np.uint32).view(np.int32)
    records = np.stack([low, multiplier, bias >> 32, shift], axis=1).astype(np.int32)
    return Factors(np.pad(records, ((0, -len(records) % 4), (0, 0))), 0)


def words_of(weight: np.ndarray) -> np.ndarray:
    """int8 numbers [..., 4 n] as int32 words [..., n]."""
    return np.ascontiguousarray(weight).astype("<i1").view("<i4").astype(np.int32)


def _pack(taps: np.ndarray, order: list[int]) -> np.ndarray:
    """Words of weights [filters, taps], a word a tap of four filters: int32 [filters / 4, taps]."""
    filters, length = taps.shape
    parts = taps.reshape(filters // 4, 4, -1, len(order))[..., order].transpose(0, 2, 1, 3)
    return words_of(parts.reshape(filters // 4, 4 * length))
