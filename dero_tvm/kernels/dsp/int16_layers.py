"""Layers of int16 data with int8 weights, whose sums fit 32 bits."""

from __future__ import annotations

from functools import partial

import numpy as np

from relax_passes.operators import OperatorClass
from relax_passes.operators.sum_range import SumRange

from ..c_kernel import SUPPORT, CKernel, Request
from ..kernel_table import register_kernel
from ..window_struct import pack_window
from .factors import pack_factors
from .groups import groups_of_four

_DIRECT = """\
dsp16_conv2d_row(w, vertical, rows, weight, (const struct requantization *)factors, (int8_t *)out);
"""
_GATHER = """\
dsp16_conv2d_gather_row(w, vertical, rows, weight, (const struct requantization *)factors,
                        (int8_t *)out, scratch);
"""
_DEPTHWISE = """\
dsp16_depthwise_row(w, vertical, rows, weight, (const struct requantization *)factors,
                    (int8_t *)out, {kernel_h}, {kernel_w});
"""
_ORDER = [0, 2, 1, 3]  # of bytes in a word: its halves extend to neighbours


@register_kernel("dense", features={"dsp"})
@register_kernel(
    "conv2d", features={"dsp"}, classes={OperatorClass.SPATIAL, OperatorClass.POINTWISE}
)
def conv2d(request: Request) -> CKernel | None:
    """One pixel by four filters at a time."""
    s = request.signature
    data = s.inputs[0]
    if not _has_narrow_sums(request) or s.attrs.get("groups", 1) != 1:
        return None
    weight = request.constants["weight"]
    if weight.ndim == 2:  # of a dense layer
        weight = weight[:, None, None, :]
    filters, kernel_h, kernel_w, channels = weight.shape
    side_by_side = kernel_w == 1 or (data.dense and s["dilation"][1] == 1)
    direct = channels % 4 == 0 and side_by_side
    taps = weight.reshape(filters, -1)
    factors = pack_factors(request.constants, s, SumRange.of(taps, 0, "int16"))
    window = pack_window(s, (kernel_h, kernel_w), factors.rounding)
    if window is None:
        return None
    words = _pack_taps(np.pad(taps, ((0, -filters % 4), (0, -taps.shape[1] % 4))))
    name, call = ("dsp16_conv2d", _DIRECT) if direct else ("dsp16_conv2d_gather", _GATHER)
    return CKernel(
        name,
        lambda offsets: offsets.under() + call,
        {"window": window, "weight": words, "factors": factors.records},
        scratch=0 if direct else words.shape[1] * data.itemsize,
        support=(SUPPORT / "dsp16_conv2d.h",),
    )


@register_kernel("conv2d", features={"dsp"}, classes={OperatorClass.DEPTHWISE})
def depthwise(request: Request) -> CKernel | None:
    """One pixel by four channels at a time."""
    s = request.signature
    weight = request.constants["weight"]
    filters, kernel_h, kernel_w, _ = weight.shape
    if not _has_narrow_sums(request) or filters != s.inputs[0].channels or filters < 4:
        return None
    order = groups_of_four(filters)
    taps = weight[order].reshape(len(order), -1)
    vectors = {n: request.constants[n][order] for n in ("bias", "multiplier", "shift")}
    factors = pack_factors(vectors, s, SumRange.of(taps, 0, "int16"))
    window = pack_window(s, (kernel_h, kernel_w), factors.rounding)
    if window is None:
        return None
    by_tap = taps.reshape(-1, 4, taps.shape[1]).transpose(0, 2, 1)[..., _ORDER]
    call = partial(_DEPTHWISE.format, kernel_h=kernel_h, kernel_w=kernel_w)
    return CKernel(
        "dsp16_depthwise",
        lambda offsets: offsets.under() + call(),
        {"window": window, "weight": _words(by_tap), "factors": factors.records},
        support=(SUPPORT / "dsp16_depthwise.h",),
        qualifiers="DSP_LOOPS",
    )


def _has_narrow_sums(request: Request) -> bool:
    """Whether data are int16 and sums int32, with what these kernels take for granted."""
    s = request.signature
    types = s.inputs[0].dtype, request.constants["bias"].dtype.name
    return (
        types == ("int16", "int32")
        and s["rounding"] in ("double", "reduced")
        and not (s["input_zero_point"] or s["weight_zero_point"])
    )


def _pack_taps(taps: np.ndarray) -> np.ndarray:
    """Words of weights [filters, taps], both multiples of four, as int32 [filters / 4, taps]."""
    filters, length = taps.shape
    quads = taps.reshape(filters // 4, 4, length // 4, 4)[..., _ORDER]
    return _words(quads.transpose(0, 2, 1, 3)).reshape(filters // 4, length)


def _words(quads: np.ndarray) -> np.ndarray:
    """Four bytes each as a word."""
    return np.ascontiguousarray(quads).astype("<i1").view("<i4")[..., 0].astype(np.int32)
