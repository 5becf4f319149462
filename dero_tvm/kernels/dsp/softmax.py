"""Softmax of int8 data, from a table of exponentials."""

from __future__ import annotations

import numpy as np

from relax_passes.operators.fixed_point_functions import doubling_high, exp_of_negative

from ..c_kernel import SUPPORT, CKernel, Request
from ..kernel_table import register_kernel

_BODY = """\
for (int32_t pixel = 0; pixel < {pixels}; ++pixel) {{
  dsp_softmax(exponentials, {count}, {channels}, data + pixel * {data_pixel},
              out + pixel * {out_pixel});
}}
"""
_INTEGER_BITS = 5  # of the numbers whose exponentials are taken


@register_kernel("softmax", features={"dsp"})
def softmax(request: Request) -> CKernel | None:
    """An element and the greatest one differ by one of 256 numbers, whose exponentials are known.

    The table has an int32 in Q0.31 for each difference from 0 to that whose exponential counts as
    zero.
    """
    s = request.signature
    data, out = s.inputs[0], s.output
    if data.dtype != "int8" or out.dtype != "int8":
        return None
    differences = np.arange(0, max(s["diff_min"], -255) - 1, -1, dtype=np.int64)
    scaled = doubling_high(differences << s["shift"], s["multiplier"])
    if s["shift"] < 0 or np.count_nonzero(scaled == 0) != 1:
        return None
    exponentials = exp_of_negative(scaled, _INTEGER_BITS).astype(np.int32)
    body = _BODY.format(
        pixels=data.pixels,
        count=len(exponentials),
        channels=data.channels,
        data_pixel=data.pixel_stride,
        out_pixel=out.pixel_stride,
    )
    return CKernel(
        "dsp_softmax",
        lambda offsets: offsets.rows_of(s) + body,
        {"exponentials": exponentials},
        support=(SUPPORT / "dsp_softmax.h",),
    )
