"""Convolutions of one group: products of runs of the image with the weights of four filters.

The taps of one row of the window are one run of bytes where the image has no gaps between pixels,
so that a window inside the image is read where it lies.  A window that reaches beyond the image is
copied to scratch first, with the zero point in place of what is missing.  Where runs are short,
every window is copied, and becomes a single run.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

import numpy as np

from relax_passes.operators import OperatorClass, Signature

from ..c_kernel import SUPPORT, CKernel, Request
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
    return CKernel("mve_conv2d", window.body(to), constants, window.scratch, tuple(support))


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
        s = self.signature
        top, left = s["padding"][:2]
        return bool(
            top
            or left
            or s.output.shape[1] * s["strides"][0] + self.span(0) > s.inputs[0].shape[1]
            or s.output.shape[2] * s["strides"][1] + self.span(1) > s.inputs[0].shape[2]
        )

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

    def body(self, to: Requantization) -> str:
        """The statements of the kernel."""
        s = self.signature
        runs = range(self.runs)
        loop = channels_loop(
            [f"lines[{run}]" for run in runs], self.length, self.copied, s.output.channels, to
        )
        lines = self._lines()
        parts = [self._window_struct()] if "&window" in lines else []
        parts.append(self._rows("rows[" in lines, "inside" in lines))
        parts.append(f"for (int32_t pixel = 0; pixel < {s.output.shape[2]}; ++pixel) {{")
        parts.append(f"  const int8_t *lines[{self.runs}];")
        parts.append(textwrap.indent(lines, "  "))
        parts.append(textwrap.indent(loop, "  "))
        parts.append(f"  out += {s.output.pixel_stride};\n}}")
        return "\n".join(parts)

    def _window_struct(self) -> str:
        s = self.signature
        data = s.inputs[0]
        _, kernel_h, kernel_w, _ = s.inputs[1].shape
        return f"""\
static const struct mve_window window = {{
  .height = {data.shape[1]}, .width = {data.shape[2]}, .channels = {data.channels},
  .pixel = {data.pixel_stride}, .row = {data.row_stride},
  .kernel_h = {kernel_h}, .kernel_w = {kernel_w},
  .dilation_h = {s["dilation"][0]}, .dilation_w = {s["dilation"][1]},
  .zero_point = {s["input_zero_point"]},
}};"""

    def _rows(self, pointers: bool, inside: bool) -> str:
        """The top of the window; the rows of the image below it, and whether all are inside."""
        s = self.signature
        data, kernel_h = s.inputs[0], s.inputs[1].shape[1]
        dilation = s["dilation"][0]
        lines = [f"const int32_t top = row * {s['strides'][0]} - {s['padding'][0]};"]
        place = f"data + (top + i * {dilation}) % data_rows * {data.row_stride}"
        if inside:
            last = (kernel_h - 1) * dilation
            lines.append(f"const int32_t inside = top >= 0 && top + {last} < {data.shape[1]};")
            place = f"!inside ? data : {place}"
        if pointers:
            lines.append(f"const int8_t *rows[{kernel_h}];")
            lines.append(f"for (int32_t i = 0; i < {kernel_h}; ++i) {{")
            lines += [f"  rows[i] = {place};", "}"]
        return "\n".join(lines)

    def _lines(self) -> str:
        """Where the runs below one pixel's window are."""
        s = self.signature
        data, kernel_w = s.inputs[0], s.inputs[1].shape[2]
        column = f"const int32_t left = pixel * {s['strides'][1]} - {s['padding'][1]};"
        read = [f"{line};" for line in self._in_place()]
        copy = ["mve_copy_window(scratch, data, data_rows, top, left, &window);"]
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
