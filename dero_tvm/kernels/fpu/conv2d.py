"""Convolutions, and dense layers, which are convolutions of single pixels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from relax_passes.operators import OperatorClass

from ..c_kernel import SUPPORT, CKernel, Request
from ..kernel_table import register_kernel
from ..window_struct import pack_window, window_blocks
from .elements import limits

_LIMITS = "struct limits limits = {};\n"
_CALL = "{name}_row({{w}}, vertical, rows, weight, bias, limits, {{out}});\n"
_FILTERS = 4  # side by side
_PIXELS = 4


@register_kernel("dense", features={"fpu"})
@register_kernel(
    "conv2d", features={"fpu"}, classes={OperatorClass.SPATIAL, OperatorClass.POINTWISE}
)
def conv2d(request: Request) -> CKernel | None:
    """Four pixels by four filters at a time."""
    s = request.signature
    data, weight = s.inputs[0], request.constants["weight"]
    if data.dtype != "float32" or s.attrs.get("groups", 1) != 1:
        return None
    if weight.ndim == 2:  # of a dense layer
        weight = weight[:, None, None, :]
    filters, kernel_h, kernel_w, _ = weight.shape
    if kernel_w > 1 and not (data.dense and s["dilation"][1] == 1):
        return None
    taps = weight.reshape(filters, -1)
    blocks = taps[: filters // _FILTERS * _FILTERS].reshape(-1, _FILTERS, taps.shape[1])
    packed = np.concatenate(
        [blocks.transpose(0, 2, 1).ravel(), taps[blocks.size // taps.shape[1] :].ravel()]
    )
    return _kernel("fpu_conv2d", request, (kernel_h, kernel_w), packed)


@register_kernel("conv2d", features={"fpu"}, classes={OperatorClass.DEPTHWISE})
def depthwise(request: Request) -> CKernel | None:
    """One pixel by four channels at a time."""
    weight = request.constants["weight"]
    filters, kernel_h, kernel_w, _ = weight.shape
    data = request.signature.inputs[0]
    # Of fewer than four there is nothing to gain, and gcc 12 warns of the reads that are not done.
    if data.dtype != "float32" or filters != data.channels or filters < 4:
        return None
    packed = np.ascontiguousarray(weight[..., 0].transpose(1, 2, 0)).ravel()
    return _kernel("fpu_depthwise", request, (kernel_h, kernel_w), packed)


def _kernel(
    name: str, request: Request, kernel: tuple[int, int], weight: np.ndarray
) -> CKernel | None:
    window = pack_window(request.signature, kernel)
    if window is None:
        return None
    s = request.signature
    before, call = _LIMITS.format(limits(s)), _CALL.format(name=name)
    # Pixels whose windows begin before the image come one by one.
    outside = -(-s.attrs.get("padding", (0, 0))[1] // s.attrs.get("strides", (1, 1))[1])
    blocks = window_blocks(call.format, _PIXELS, outside % _PIXELS)
    constants = {"window": window, "weight": weight, "bias": request.constants["bias"]}
    return CKernel(
        name,
        lambda offsets: offsets.under() + before + call.format(w="w", out="out"),
        constants,
        support=(SUPPORT / f"{name}.h",),
        pixels=replace(blocks, before=lambda offsets: blocks.before(offsets) + before),
        ranges=True,
    )
