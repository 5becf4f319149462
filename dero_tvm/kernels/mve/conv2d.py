"""Convolutions of one group: 16 bytes of the image with the weights of four output channels.

The taps of one row of the window are one run of bytes where the image has no gaps between pixels,
so that a window inside the image is read where it lies.  A window that reaches beyond the image is
copied to scratch first, with the zero point in place of what is missing.  Where runs are short,
every window is copied, and becomes a single run.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dero_tvm.schedule.row_offsets import RowOffsets
from relax_passes.operators import OperatorClass, Signature

from ..c_kernel import SUPPORT, CKernel, Request
from ..kernel_table import register_kernel
from ..window_struct import TALLEST, pack_window, window_blocks
from .dot import LANES, channels_loop, pack_factors, pack_weights
from .requantization import requantization

# Instructions, to weigh copying windows against more and shorter runs.
_STEP = 9  # a vector of data with four filters
_COPY = 5  # a vector of data from the image to scratch
_CALL = 4  # a run more to copy

_WITHOUT_LOOP = 4  # vectors of a run, in functions for two pixels
_STEPS = 3  # vectors of a turn of their loop, at most


@register_kernel(
    "conv2d", features={"mve"}, classes={OperatorClass.SPATIAL, OperatorClass.POINTWISE}
)
def conv2d(request: Request) -> CKernel | None:
    """Two pixels by four filters at a time, or one."""
    s = request.signature
    if s.inputs[0].dtype != "int8" or s["groups"] != 1 or s.inputs[0].shape[0] != 1:
        return None
    weight = request.constants["weight"]
    to = requantization(s, request.constants, weight.sum(axis=(1, 2, 3), dtype=np.int64))
    kernel = weight.shape[1:3]
    tallest = max(kernel[0], TALLEST)
    window = pack_window(s, kernel, tallest=tallest)
    if to is None or window is None:
        return None
    runs = _Runs.of(s)
    packed = pack_weights(weight.reshape(len(weight), runs.count, -1)).reshape(-1)
    constants = {
        "window": window,
        "layer": np.array([*[to.low] * 4, *[to.high] * 4, *runs.layer(to.offset)], np.int32),
        # What comes next is loaded ahead.
        "weights": np.pad(packed, (0, LANES // 4)),
        "factors": np.pad(pack_factors(to).reshape(-1), (0, 4)),
    }
    outside = "(const int8_t *)weights"  # any bytes: no run is outside
    if runs.reaches_beyond(0) and not runs.copied:
        constants["outside"] = np.full(runs.length, s["input_zero_point"], np.int8)
        outside = "outside"
    scratch = "scratch" if runs.scratch else "out"  # there is no window to copy
    functions = f"mve_one_{to.rounding}, mve_two_{to.rounding}_{runs.variant}"

    def call(w: str, out: str) -> str:
        layer = f"{w}, (const struct mve_layer *)layer, vertical, rows"
        results = f"weights, factors, {out}, {scratch}, {functions});\n"
        if runs.alone:
            lines = "".join(
                f"const int8_t *line_{i} = {i} >= vertical.first && {i} < vertical.last ? "
                f"rows[{i}] - ({w})->left * ({w})->in_pixel : {outside};\n"
                for i in range(runs.count)
            )
            names = [f"line_{i}" for i in range(runs.count)]
            return lines + channels_loop(names, runs.length, False, len(weight), to, out)
        if runs.pointwise:
            return f"mve_pointwise_row({layer}, weights, factors, {out}, {functions});\n"
        if runs.copied:
            return f"mve_conv2d_copied_row({layer}, {results}"
        lines = f"const int8_t *lines[{2 * runs.count + 1}];\n"
        return f"{lines}mve_conv2d_row({layer}, lines, {outside}, {results}"

    def body(offsets: RowOffsets) -> str:
        return offsets.under(tallest=tallest) + call("w", "out")

    return CKernel(
        "mve_conv2d",
        body,
        constants,
        runs.scratch,
        (SUPPORT / "mve_conv2d.h",),
        pixels=window_blocks(call, tallest=tallest),
        ranges=True,
    )


@dataclass(frozen=True)
class _Runs:
    """How a convolution reads its input."""

    signature: Signature
    copied: bool  # every window, not only those that reach beyond the image
    joined: bool  # the taps of one row of the window are one run
    count: int
    length: int  # bytes of a run

    @staticmethod
    def of(s: Signature) -> _Runs:
        data = s.inputs[0]
        filters, kernel_h, kernel_w, channels = s.inputs[1].shape
        taps = kernel_h * kernel_w
        joined = kernel_w == 1 or (data.dense and s["dilation"][1] == 1)
        runs, length = (kernel_h, kernel_w * channels) if joined else (taps, channels)
        groups = -(-filters // 4)
        vectors = runs * -(-length // LANES)
        copying = -(-taps * channels // LANES) * groups * _STEP + vectors * _COPY + runs * _CALL
        if runs > 1 and copying < vectors * groups * _STEP:
            return _Runs(s, True, joined, 1, taps * channels)
        return _Runs(s, False, joined, runs, length)

    @property
    def _vectors(self) -> tuple[int, int]:
        """Of a run, and the bytes behind; a copied run is continued to a vector's length."""
        vectors, rest = divmod(self.length, LANES)
        return (vectors + 1, 0) if self.copied and rest else (vectors, rest)

    def layer(self, zero_point: int) -> tuple[int, ...]:
        """A ``struct mve_layer`` behind its limits."""
        output = self.signature.output
        groups = output.channels // 4
        return *self._vectors, zero_point, output.pixel_stride, groups, self.count, int(self.joined)

    @property
    def variant(self) -> str:
        """Of the functions for two pixels: how many vectors they take at once, and the rest."""
        vectors, rest = self._vectors
        if rest:
            return "rest" if vectors else "only_rest"
        if vectors <= _WITHOUT_LOOP:
            return f"{vectors}"
        return next(f"by_{n}" for n in range(_STEPS, 0, -1) if vectors % n == 0)

    @property
    def alone(self) -> bool:
        """True if there are no two pixels in a row: it is rather written for its own shape."""
        single = self.signature.output.pixels == 1 and not self.reaches_beyond(1)
        return single and self.joined and not self.copied

    @property
    def pointwise(self) -> bool:
        """True for a window of one pixel that is always inside."""
        inside = not (self.reaches_beyond(0) or self.reaches_beyond(1))
        return inside and tuple(self.signature.inputs[1].shape[1:3]) == (1, 1)

    def reaches_beyond(self, axis: int) -> bool:
        """True if some window begins before the image, or ends behind it."""
        s = self.signature
        span = (s.inputs[1].shape[1 + axis] - 1) * s["dilation"][axis] + 1 - s["strides"][axis]
        end = s.output.shape[1 + axis] * s["strides"][axis] + span
        return bool(s["padding"][axis] or end > s.inputs[0].shape[1 + axis])

    @property
    def scratch(self) -> int:
        """Bytes of copied windows: of two if all are copied."""
        size = self.count * self.length
        if self.copied:
            return 2 * -(-size // LANES) * LANES
        return size if self.reaches_beyond(1) else 0
