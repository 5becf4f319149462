"""Maximum and average pooling."""

from __future__ import annotations

from ..c_kernel import SUPPORT, CKernel, Request
from ..kernel_table import register_kernel
from ..window_struct import pack_window
from .totals import global_pool

_BODY = "dsp_pool_row(w, vertical, rows, out, {average});\n"
_MOST_TERMS = 255  # of an average: their sum fits a half of a word


@register_kernel("pool2d", features={"dsp"})
def pool2d(request: Request) -> CKernel | None:
    """One pixel by four channels at a time."""
    totals = global_pool(request)
    if totals is not None:
        return totals
    s = request.signature
    average = s["kind"] == "average"
    height, width = s["pool_size"]
    if s.inputs[0].dtype != "int8" or s.inputs[0].channels < 4 or request.state is not None:
        return None
    if s["kind"] == "sum" or s["multiplier"] is not None or s["count_include_pad"]:
        return None
    if average and (s["rounding"] == "single" or height * width > _MOST_TERMS):
        return None
    if average and s["input_zero_point"] != 0:
        return None
    window = pack_window(s, (height, width), 0)
    if window is None:
        return None
    return CKernel(
        "dsp_pool",
        lambda offsets: offsets.under() + _BODY.format(average=int(average)),
        {"window": window},
        support=(SUPPORT / "dsp_pool.h",),
        ranges=True,
    )
