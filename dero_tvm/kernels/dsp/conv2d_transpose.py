"""Transposed convolutions of one group: the row of each phase as that of a convolution."""

from __future__ import annotations

import numpy as np

from relax_passes.operators.sum_range import SumRange

from ..c_kernel import SUPPORT, CKernel, Request
from ..kernel_table import register_kernel
from ..transposed_phases import Phase, phases_of
from ..window_struct import pack_window
from .factors import pack_factors
from .pairs import pack_pairs

_BODY = """\
const int32_t place = row + spread[0], stride = spread[1], columns = spread[2];
const int32_t phase = place % stride * columns;
window += phase * (int32_t)(sizeof(struct window) / sizeof *window);
row = place / stride;
"""
_CALL = """\
dsp_conv2d_transpose_row(w, columns, spread + 3 + 2 * phase, vertical, rows, weight,
                         (const struct requantization *)factors, out{});
"""


@register_kernel("conv2d_transpose", features={"dsp"})
def conv2d_transpose(request: Request) -> CKernel | None:
    """One pixel by four filters at a time."""
    s = request.signature
    phases = phases_of(s, request.constants)
    if phases is None:
        return None
    weight = request.constants["weight"]
    sums = SumRange.of(weight.reshape(len(weight), -1), s["input_zero_point"])
    factors = pack_factors(request.constants, s, sums)
    packed = [_words(phase, sums) for phase in phases]
    windows = [pack_window(p.signature, p.kernel, factors.rounding) for p in phases]
    if any(words is None for words in packed) or any(window is None for window in windows):
        return None
    words = [part for part in packed if part is not None]
    direct = weight.shape[3] % 4 == 0 and (
        s.inputs[0].dense or max(phase.kernel[1] for phase in phases) == 1
    )
    starts = np.cumsum([0, *(part.size for part in words)])
    of_phases = [(start, phase.first * s.output.pixel_stride)
                 for start, phase in zip(starts, phases)]  # fmt: skip
    name = "dsp_conv2d_transpose" if direct else "dsp_conv2d_transpose_gather"
    call = _CALL.format("" if direct else ", scratch").replace(
        "dsp_conv2d_transpose_row", f"{name}_row"
    )
    return CKernel(
        name,
        lambda offsets: _BODY + offsets.under() + call,
        {
            "window": np.concatenate([window for window in windows if window is not None]),
            "weight": np.concatenate([part.reshape(-1) for part in words]),
            "factors": factors.records,
            "spread": np.array([s["padding"][0], *s["strides"], *np.ravel(of_phases)], np.int32),
        },
        scratch=0 if direct else max(4, *(part.shape[1] for part in words)),
        support=(*factors.support, SUPPORT / f"{name}.h"),
    )


def _words(phase: Phase, sums: SumRange) -> np.ndarray | None:
    taps = phase.weight.reshape(len(phase.weight), -1)
    return pack_pairs(np.pad(taps, ((0, -len(taps) % 4), (0, -taps.shape[1] % 4))), sums)
