"""Convolutions of one group: products of runs of the image with the weights of four filters.

The taps of one row of the window are one run of bytes where the image has no gaps between pixels,
so that a window inside the image is read where it lies.  A window that reaches beyond the image is
copied to scratch first, with the zero point in place of what is missing.  Where runs are short,
every window is copied, and becomes a single run.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from functools import partial

import numpy as np

from dero_tvm.schedule.row_offsets import RowOffsets
from relax_passes.operators import OperatorClass, Signature

from ..c_kernel import SUPPORT, CKernel, PixelBlocks, Request
from ..kernel_table import register_kernel
from .dot import LANES, channels_loop, pack_factors, pack_weights
from .requantization import Requantization, requantization

# Instructions, to weigh copying windows against more and shorter runs.
_STEP = 9  # a vector of data with four filters
_COPY = 5  # a vector of data from the image to scratch
_CALL = 4  # a run more to copy


@register_kernel(
    "conv2d", features={"mve"}, classes={OperatorClass.SPATIAL, OperatorClass.POINTWISE}
)
def conv2d(request: Request) -> CKernel | None:
    """One pixel by four filters at a time."""
    s = request.signature
    if s.inputs[0].dtype != "int8" or s["groups"] != 1 or s.inputs[0].shape[0] != 1:
        return None
    weight = request.constants["weight"]
    to = requantization(s, request.constants, weight.sum(axis=(1, 2, 3), dtype=np.int64))
    if to is None:
        return None
    window = _Window.of(s)
    runs = weight.reshape(len(weight), window.runs, -1)
    constants = {"weights": pack_weights(runs), "factors": pack_factors(to)}
    support = [SUPPORT / name for name in ("mve_dot.h", "mve_requantize.h")]
    if window.scratch:
        support.append(SUPPORT / "mve_window.h")
    return CKernel(
        "mve_conv2d",
        partial(window.body, to),
        constants,
        window.scratch,
        tuple(support),
        pixels=PixelBlocks(window.before, partial(window.block, to)),
        ranges=True,
    )


@dataclass(frozen=True)
class _Window:
    """How a convolution reads its input."""

    signature: Signature
    copied: bool  # every window, not only those that reach beyond the image
    joined: bool  # the taps of one row of the window are one run
    runs: int
    length: int  # bytes of a run

    @staticmethod
    def of(s: Signature) -> _Window:
        data = s.inputs[0]
        filters, kernel_h, kernel_w, channels = s.inputs[1].shape
        taps = kernel_h * kernel_w
        joined = kernel_w == 1 or (data.dense and s["dilation"][1] == 1)
        runs, length = (kernel_h, kernel_w * channels) if joined else (taps, channels)
        groups = -(-filters // 4)
        vectors = runs * -(-length // LANES)
        copying = -(-taps * channels // LANES) * groups * _STEP + vectors * _COPY + runs * _CALL
        if runs > 1 and copying < vectors * groups * _STEP:
            return _Window(s, True, joined, 1, taps * channels)
        return _Window(s, False, joined, runs, length)

    @property
    def padded(self) -> bool:
        """True if some window reaches beyond the image."""
        return self._reaches_beyond(0) or self._reaches_beyond(1)

    def _reaches_beyond(self, axis: int) -> bool:
        """True if some window begins before the image, or ends behind it."""
        s = self.signature
        end = s.output.shape[1 + axis] * s["strides"][axis] + self.span(axis)
        return bool(s["padding"][axis] or end > s.inputs[0].shape[1 + axis])

    def span(self, axis: int) -> int:
        """Rows or columns from the first tap to the last, less the stride."""
        s = self.signature
        return (s.inputs[1].shape[1 + axis] - 1) * s["dilation"][axis] + 1 - s["strides"][axis]

    @property
    def scratch(self) -> int:
        """Bytes of a copied window; a single run is continued up to a vector's length."""
        size = self.runs * self.length
        if self.copied:
            return -(-size // LANES) * LANES
        return size if self.padded else 0

    def body(self, to: Requantization, offsets: RowOffsets) -> str:
        """The statements of the kernel."""
        s = self.signature
        parts = [self.before(offsets)]
        first, end = offsets.range_of(s)
        parts.append(f"for (int32_t pixel = {first}; pixel < {end}; ++pixel) {{")
        parts.append(textwrap.indent(self._one_pixel(to, "pixel", "out"), "  "))
        parts.append(f"  out += {s.output.pixel_stride};\n}}")
        return "\n".join(parts)

    def before(self, offsets: RowOffsets) -> str:
        """The statements before the loop over the pixels."""
        lines = self._lines()
        parts = [self._window_struct()] if "&window" in lines else []
        parts.append(self._rows(offsets, "rows" in lines, "inside" in lines))
        return "\n".join(parts)

    def block(self, to: Requantization, pixel: str, count: str, result: str) -> str:
        """Statements for `count` pixels from number `pixel` on; see `PixelBlocks`."""
        if count == "1":
            return self._one_pixel(to, pixel, result)
        result = f"{result} + i * {self.signature.output.channels}"
        one = textwrap.indent(self._one_pixel(to, f"({pixel} + i)", result), "  ")
        return f"for (int32_t i = 0; i < {count}; ++i) {{\n{one}\n}}"

    def _one_pixel(self, to: Requantization, pixel: str, result: str) -> str:
        runs = [f"lines[{run}]" for run in range(self.runs)]
        channels = self.signature.output.channels
        loop = channels_loop(runs, self.length, self.copied, channels, to, result)
        return "\n".join([f"const int8_t *lines[{self.runs}];", self._lines(pixel), loop])

    def _window_struct(self) -> str:
        s = self.signature
        data = s.inputs[0]
        _, kernel_h, kernel_w, _ = s.inputs[1].shape
        return f"""\
static const struct mve_window window = {{
  .height = {data.shape[1]}, .width = {data.shape[2]}, .channels = {data.channels},
  .pixel = {data.pixel_stride},
  .kernel_h = {kernel_h}, .kernel_w = {kernel_w},
  .dilation_h = {s["dilation"][0]}, .dilation_w = {s["dilation"][1]},
  .zero_point = {s["input_zero_point"]},
}};"""

    def _rows(self, offsets: RowOffsets, pointers: bool, inside: bool) -> str:
        """The top of the window; the rows of the image below it, and whether all are inside."""
        s = self.signature
        data, kernel_h = s.inputs[0], s.inputs[1].shape[1]
        dilation = s["dilation"][0]
        lines = [f"const int32_t top = row * {s['strides'][0]} - {s['padding'][0]};"]
        if inside:
            last = (kernel_h - 1) * dilation
            lines.append(f"const int32_t inside = top >= 0 && top + {last} < {data.shape[1]};")
        if pointers:
            lines.append(f"const int8_t *rows[{kernel_h}];")
            lines.append(f"for (int32_t i = 0; i < {kernel_h}; ++i) {{")
            lines.append(f"  const int32_t y = top + i * {dilation};")
            base = offsets.base("data")
            place = f"{base} + {offsets.at('data', 'y', data.row_stride)}"
            if self._reaches_beyond(0):
                place = f"y < 0 || y >= {data.shape[1]} ? {base} : {place}"
            lines += [f"  rows[i] = {place};", "}"]
        return "\n".join(lines)

    def _lines(self, pixel: str = "pixel") -> str:
        """Where the runs below the window of pixel number `pixel` are."""
        s = self.signature
        data, kernel_w = s.inputs[0], s.inputs[1].shape[2]
        column = f"const int32_t left = {pixel} * {s['strides'][1]} - {s['padding'][1]};"
        read = [f"{line};" for line in self._in_place()]
        copy = ["mve_copy_window(scratch, rows, top, left, &window);"]
        if self.copied:
            if not self.joined:
                read = copy
            copy.append("")
        else:
            copy += [f"lines[{i}] = scratch + {i * self.length};" for i in range(self.runs)]
        copy = [line for line in copy if line]
        lines = [column]
        if self.padded and read != copy:
            last = (kernel_w - 1) * s["dilation"][1]
            lines.append(f"if (inside && left >= 0 && left + {last} < {data.shape[2]}) {{")
            lines += [f"  {line}" for line in read]
            lines += ["} else {", *(f"  {line}" for line in copy), "}"]
        else:
            lines += read
        if self.copied:
            lines.append("lines[0] = scratch;")
        return "\n".join(lines)

    def _in_place(self) -> list[str]:
        s = self.signature
        pixel = s.inputs[0].pixel_stride
        _, kernel_h, kernel_w, channels = s.inputs[1].shape
        if self.copied:
            run = kernel_w * channels
            function = "(void)memcpy" if run <= LANES else "mve_copy"
            return [
                f"{function}(scratch + {i * run}, rows[{i}] + left * {pixel}, {run})"
                for i in range(kernel_h)
            ]
        if self.joined:
            return [f"lines[{i}] = rows[{i}] + left * {pixel}" for i in range(kernel_h)]
        step = s["dilation"][1]
        return [
            f"lines[{i * kernel_w + j}] = rows[{i}] + (left + {j * step}) * {pixel}"
            for i in range(kernel_h)
            for j in range(kernel_w)
        ]
