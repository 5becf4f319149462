"""Depthwise convolutions with as many filters as channels."""

from __future__ import annotations

from functools import partial

import numpy as np

from relax_passes.operators import OperatorClass
from relax_passes.operators.sum_range import SumRange

from ..c_kernel import SUPPORT, CKernel, Request
from ..kernel_table import register_kernel
from ..window_struct import pack_window, window_blocks
from .factors import pack_factors
from .groups import groups_of_four

_BODY = """\
dsp_depthwise_row({w}, {layer}, vertical, rows, weight, (const struct requantization *)factors,
                  {out}, {kernel_h}, {kernel_w});
"""


@register_kernel("conv2d", features={"dsp"}, classes={OperatorClass.DEPTHWISE})
def depthwise(request: Request) -> CKernel | None:
    """One pixel by four channels at a time."""
    s = request.signature
    weight = request.constants["weight"]
    filters, kernel_h, kernel_w, _ = weight.shape
    if s.inputs[0].dtype != "int8" or filters != s.inputs[0].channels or filters < 4:
        return None
    order = groups_of_four(filters)
    sums = SumRange.of(weight[order].reshape(len(order), -1), s["input_zero_point"])
    vectors = {n: request.constants[n][order] for n in ("bias", "multiplier", "shift")}
    factors = pack_factors(vectors, s, sums)
    window = pack_window(s, (kernel_h, kernel_w), factors.rounding)
    if window is None:
        return None
    call = partial(_BODY.format, kernel_h=kernel_h, kernel_w=kernel_w)
    words = _pack_taps(weight[order].reshape(-1, 4, kernel_h, kernel_w))
    return CKernel(
        "dsp_depthwise",
        lambda offsets: offsets.under() + call(w="w", layer=offsets.whole, out="out"),
        {"window": window, "weight": words, "factors": factors.records},
        support=(*factors.support, SUPPORT / "dsp_depthwise.h"),
        qualifiers="DSP_LOOPS",
        pixels=window_blocks(partial(call, layer="w")),
        ranges=True,
    )


def _pack_taps(weight: np.ndarray) -> np.ndarray:
    """Words of weights [group, channel of it, kernel_h, kernel_w], as int32 [group, taps]."""
    groups, _, kernel_h, kernel_w = weight.shape
    paired = kernel_w & ~1
    pairs = weight[..., :paired].reshape(groups, 2, 2, kernel_h, paired // 2, 2)
    # group, half of it, channel of the half, kh, pair, tap -> group, kh, pair, half, tap, channel
    pairs = pairs.transpose(0, 3, 4, 1, 5, 2).reshape(groups, kernel_h, paired, 4)
    single = weight[..., paired:].transpose(0, 2, 3, 1)
    order = np.concatenate([pairs, single], axis=2)
    return (
        np.ascontiguousarray(order).astype("<i1").view("<i4").reshape(groups, -1).astype(np.int32)
    )
