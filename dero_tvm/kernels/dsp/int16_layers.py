"""Layers of int16 data with int8 weights; depthwise ones if their sums fit 32 bits."""

from __future__ import annotations

from functools import partial

import numpy as np

from relax_passes.operators import OperatorClass
from relax_passes.operators.sum_range import SumRange

from ..c_kernel import SUPPORT, CKernel, Request
from ..int16_layers import is_int16, layer, words_of
from ..kernel_table import register_kernel
from ..window_struct import pack_window
from .factors import pack_factors
from .groups import groups_of_four

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
    """Four taps of four filters at a time."""
    return layer(request, "dsp16", _ORDER)


@register_kernel("conv2d", features={"dsp"}, classes={OperatorClass.DEPTHWISE})
def depthwise(request: Request) -> CKernel | None:
    """One pixel by four channels at a time."""
    s = request.signature
    weight = request.constants["weight"]
    filters, kernel_h, kernel_w, _ = weight.shape
    narrow = request.constants["bias"].dtype == np.int32
    if not (is_int16(request) and narrow) or filters != s.inputs[0].channels or filters < 4:
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
        {"window": window, "weight": words_of(by_tap)[..., 0], "factors": factors.records},
        support=(*factors.support, SUPPORT / "dsp16_depthwise.h"),
        qualifiers="DSP_LOOPS",
    )
