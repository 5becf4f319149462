"""A transposed convolution as convolutions: one for each phase of its strides.

Output rows that have the same remainder by the stride meet the same kernel rows, and each the input
row after the one before; columns likewise.  So with strides s and t the result is s * t pictures in
one another, and each of them is a convolution with a stride of one and a part of the kernel,
turned round:

    kernel row  phase + stride * j   meets input row  q - j,   q = (y + top) / stride

Only kernels without dilation have such phases.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from relax_passes.operators import Signature


@dataclass(frozen=True, eq=False)
class Phase:
    """The output pixels of one remainder in height and width."""

    signature: Signature  # of the convolution; its padding is that of output row and column 0
    weight: np.ndarray  # [O, kernel rows, kernel columns, C] of it
    first: int  # output column

    @property
    def columns(self) -> int:
        """Output columns of the phase."""
        return self.signature.output.shape[2]

    @property
    def kernel(self) -> tuple[int, int]:
        """Kernel rows and columns, of which there may be none."""
        return self.weight.shape[1], self.weight.shape[2]


def phases_of(s: Signature, constants: Mapping[str, np.ndarray]) -> list[Phase] | None:
    """All phases, by remainder of ``y + top`` and then of ``x + left``.

    None for what kernels do not take by phases: other than int8, groups, several images, and a
    dilation.  The convolution of a phase reads row ``(y + top) / stride`` at its last kernel row.
    """
    if s.inputs[0].dtype != "int8" or s["groups"] != 1 or s.inputs[0].shape[0] != 1:
        return None
    if s["dilation"] != (1, 1):
        return None
    weight = constants["weight"]
    (stride_h, stride_w), (_, left, _, _) = s["strides"], s["padding"]
    phases = []
    for row in range(stride_h):
        for column in range(stride_w):
            part = np.ascontiguousarray(weight[:, row::stride_h, column::stride_w][:, ::-1, ::-1])
            first = (column - left) % stride_w
            columns = max(-(-(s.output.shape[2] - first) // stride_w), 0)
            # Its last kernel column lies on this one, at the first output column.
            last = (first + left) // stride_w
            filters, kernel_h, kernel_w, _ = part.shape
            output = replace(
                s.output,
                shape=(1, 1, columns, filters),
                pixel_stride=stride_w * s.output.pixel_stride,
            )
            inputs = (s.inputs[0], replace(s.inputs[1], shape=part.shape, pixel_stride=0))
            attrs = {
                **s.attrs,
                "strides": (1, 1),
                "padding": (kernel_h - 1, kernel_w - 1 - last, 0, 0),
            }
            phases.append(Phase(Signature("dero.conv2d", inputs, output, attrs), part, first))
    return phases
