"""Normalised patches: what a block of pixels of a convolution reads, in scratch.

A patch is an image of its own, as tall as the window, with the zero point outside the real one; a
kernel of the core convolves it without padding.  What the patches of neighbouring blocks have in
common is moved, not made again; of neighbouring rows it is made again.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, replace

import numpy as np

from dero_tvm.schedule.row_offsets import RowOffsets
from relax_passes.operators import Signature, TensorSpec
from relax_passes.operators.shortcut_steps import DATA, Term, decode

from ..c_kernel import CKernel
from .steps import Numbers, StepText, less, times

_BYTES = 384  # of a patch, unless one pixel needs more: scratch against calls


@dataclass(frozen=True)
class Patches:
    """Patches of `pixels` pixels of the whole convolution; `convolution` is that of one patch."""

    whole: Signature
    convolution: Signature
    pixels: int

    @staticmethod
    def of(whole: Signature, most: int = 0) -> Patches:
        """Patches of a convolution; `most` pixels of it, if that is not 0."""
        data, out = whole.inputs[0], whole.output
        spans = [
            (size - 1) * dilation + 1
            for size, dilation in zip(whole.inputs[1].shape[1:3], whole["dilation"], strict=True)
        ]
        stride = whole["strides"][1]
        wide = _BYTES // (spans[0] * data.channels)
        pixels = min(max((wide - spans[1]) // stride + 1, 1), out.pixels)
        pixels = min(pixels, most or pixels)
        shape = (1, spans[0], (pixels - 1) * stride + spans[1], data.channels)
        result = TensorSpec((1, 1, pixels, out.channels), out.dtype, out.pixel_stride)
        # The patch is the window of its only row, whatever the number of that row.
        attrs = {**whole.attrs, "strides": (0, stride), "padding": (0, 0, 0, 0)}
        operands = (TensorSpec(shape, data.dtype), *whole.inputs[1:])
        return Patches(whole, replace(whole, inputs=operands, output=result, attrs=attrs), pixels)

    def scratch(self, producer: CKernel) -> int:
        """Bytes: the kernel's own, and behind them a patch."""
        return producer.scratch_end + self.convolution.inputs[0].elements

    def text(
        self,
        signature: Signature,
        constants: np.ndarray,
        producer: CKernel,
        offsets: RowOffsets,
        numbers: Numbers,
    ) -> str:
        """Statements that compute the convolution's row of `signature`.

        `constants` are what its steps have for each channel.
        """
        blocks, stride = producer.pixels, self.whole["strides"][1]
        assert blocks is not None
        number = numbers.name
        pixels = number(self.whole.output.pixels)
        result = f"result + pixel * {number(self.whole.output.pixel_stride)}"
        span = number(self.convolution.inputs[0].shape[2] - (self.pixels - 1) * stride)
        return "\n".join(
            [
                f"int8_t *const patch = scratch + {producer.scratch_end};",
                self._rows(offsets, numbers),
                blocks.before(_OfPatch(rows=self.convolution.inputs[0].shape[1])).strip(),
                f"for (int32_t pixel = 0, count; pixel < {pixels}; pixel += count) {{",
                f"  count = {pixels} - pixel;",
                f"  count = count < {self.pixels} ? count : {self.pixels};",
                f"  const int32_t wide = {times('(count - 1)', stride)} + {span};",
                textwrap.indent(self._fill(signature, constants, numbers), "  "),
                textwrap.indent(f"{{\n{blocks.block('0', 'count', result).strip()}\n}}", "  "),
                "}",
            ]
        )

    def _rows(self, offsets: RowOffsets, numbers: Numbers) -> str:
        """The rows of the image under the window; 0 where there is none."""
        data = self.whole.inputs[0]
        place = offsets.at("data", "y", data.row_stride)
        taps, height = self.whole.inputs[1].shape[1], numbers.name(data.shape[1])
        top, dilation = self.whole["padding"][0], self.whole["dilation"][0]
        stride = self.whole["strides"][0]
        return "\n".join(
            [
                f"const int8_t *under[{taps}];",
                f"for (int32_t tap = 0; tap < {taps}; ++tap) {{",
                f"  const int32_t y = {times('row', stride)} - {top} + {times('tap', dilation)};",
                f"  under[tap] = y < 0 || y >= {height} ? 0 : image + {place};",
                "}",
            ]
        )

    def _fill(self, signature: Signature, constants: np.ndarray, numbers: Numbers) -> str:
        """The loops over the elements of a patch, but those that the one before has, too."""
        number, patch = numbers.name, self.convolution.inputs[0]
        data, w = self.whole.inputs[0], self.whole

        def element(term: Term, channel: str, before: list[str]) -> str:
            return less(f"from[{channel}]", term.zero, numbers)

        lines: list[str] = []
        steps = StepText(decode(signature["steps"]), numbers, {DATA: element}, 1, constants)
        value = steps.value(signature["normalisation"], "channel", lines)
        step = number(data.pixel_stride)
        line = f"patch + tap * {number(w['dilation'][0] * patch.shape[2] * patch.channels)}"
        stride, channels = w["strides"][1], number(patch.channels)
        kept = patch.shape[2] - self.pixels * stride  # columns that the next patch has, too
        first, move = "0", []
        if kept > 0:
            first = f"pixel > 0 ? {kept} : 0"
            moved = number(self.pixels * stride * patch.channels)
            bytes_ = number(kept * patch.channels)
            move = [
                "  if (pixel > 0) {",
                f"    (void)memmove(line, line + {moved}, (size_t){bytes_});",
                "  }",
            ]
        return "\n".join(
            [
                f"for (int32_t tap = 0; tap < {w.inputs[1].shape[1]}; ++tap) {{",
                f"  int8_t *const line = {line};",
                *move,
                f"  for (int32_t x = {first}; x < wide; ++x) {{",
                f"    const int32_t column = {times('pixel', stride)} - {w['padding'][1]} + x;",
                f"    int8_t *const cell = line + x * {channels};",
                f"    if (!under[tap] || column < 0 || column >= {number(data.shape[2])}) {{",
                f"      (void)memset(cell, {number(w['input_zero_point'])}, (size_t){channels});",
                "      continue;",
                "    }",
                f"    const int8_t *const from = under[tap] + column * {step};",
                f"    for (int32_t channel = 0; channel < {channels}; ++channel) {{",
                *(f"      {line}" for line in lines),
                f"      cell[channel] = (int8_t){value};",
                "    }",
                "  }",
                "}",
            ]
        )


@dataclass(frozen=True)
class _OfPatch(RowOffsets):
    """Where the `rows` of ``data`` lie that the kernel of a patch reads: one behind the other."""

    rows: int = 0

    def base(self, operand: str) -> str:
        return "patch" if operand == "data" else operand

    def at(self, operand: str, row: str, row_bytes: int | str) -> str:
        return f"{row} * {row_bytes}" if operand == "data" else super().at(operand, row, row_bytes)

    def height(self, operand: str) -> str:
        return str(self.rows) if operand == "data" else super().height(operand)
