"""Depthwise convolutions with one filter a channel.

For eight channels at a time the kernel goes along the row.  Taps outside the image are left out
instead of read as the input's zero point: the sums begin with a bias that has the zero point times
the weights of the other taps in it, known at compile time where all taps are inside.

The geometry stands in the text where that saves much: in windows whose taps lie so near each other
that instructions have the distances in them, and in small ones.  Other layers read theirs from a
constant, so that all with one kind of window are one function.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

import numpy as np

from dero_tvm.schedule.row_offsets import RowOffsets
from relax_passes.operators import OperatorClass, Signature

from ..c_kernel import SUPPORT, CKernel, Request
from ..kernel_table import register_kernel
from .clipped import Axis
from .depthwise_numbers import Numbers
from .requantization import Requantization, in_blocks, requantization

BLOCK = 8
_STRAIGHT = 25  # taps that are no loop over the rows of the window
_ROOM = 255  # sums of absolute weights up to it, times 128, fit int16


@register_kernel("conv2d", features={"mve"}, classes={OperatorClass.DEPTHWISE})
def depthwise(request: Request) -> CKernel | None:
    """One pixel by eight channels at a time."""
    s = request.signature
    data = s.inputs[0]
    filters, kernel_h, kernel_w, _ = s.inputs[1].shape
    if data.dtype != "int8" or data.shape[0] != 1 or filters != data.channels or filters < BLOCK:
        return None
    weight = request.constants["weight"][..., 0]  # [channels, height, width]
    to = requantization(s, request.constants, weight.sum(axis=(1, 2), dtype=np.int64))
    if to is None or kernel_h * kernel_w > _ROOM:
        return None
    # The last block begins where it ends with the last channel, on channels of the one before.
    channels = np.minimum(np.arange(0, filters, BLOCK), filters - BLOCK)
    channels = (channels[:, None] + np.arange(BLOCK)).reshape(-1)
    weights = weight[channels].reshape(-1, BLOCK, kernel_h * kernel_w).transpose(0, 2, 1)
    columns = [to.bias, request.constants["bias"], to.multiplier, to.shift]
    # Channels 0, 2, 4, 6, then 1, 3, 5, 7, as the sums lie.
    order = channels.reshape(-1, BLOCK // 2, 2).transpose(0, 2, 1).reshape(-1)
    constants = {
        "weights": np.ascontiguousarray(weights),
        "factors": in_blocks([column[order].astype(np.int32) for column in columns], BLOCK),
    }
    across = _group(weight.reshape(len(weight), 1, -1))
    axes = Axis.both(s, (kernel_h, kernel_w))
    numbers = Numbers.of(s, axes, BLOCK)
    if numbers.shared:
        constants["shape"] = numbers.constant
    body = _Body(s, to, numbers, _group(weight), across, *numbers.named(axes))
    support = (SUPPORT / "mve_depthwise.h",)
    return CKernel("mve_depthwise", body.text, constants, support=support, ranges=True)


def _group(weight: np.ndarray) -> int:
    """How many products of neighbouring taps of a row, wherever they begin, add up in int16."""
    absolute = np.abs(weight.astype(np.int64))
    group = 1
    while group < weight.shape[2]:
        windows = np.lib.stride_tricks.sliding_window_view(absolute, group + 1, axis=2)
        if windows.sum(axis=-1).max() > _ROOM:
            break
        group += 1
    return group


@dataclass(frozen=True)
class _Body:
    """The text of the kernel."""

    signature: Signature
    to: Requantization
    numbers: Numbers
    group: int  # of taps of a row
    across: int  # of taps of any row, one behind another
    rows: Axis
    columns: Axis

    def text(self, offsets: RowOffsets) -> str:
        n = self.numbers
        _, kernel_h, kernel_w, _ = self.signature.inputs[1].shape
        place = f"{BLOCK} * block"
        if self.signature.output.channels % BLOCK:
            place = f"{place} < {n['last_block']} ? {place} : {n['last_block']}"
        text = f"""\
{self._rows(offsets)}
for (int32_t block = 0; block < {n["blocks"]}; ++block) {{
  const int32_t channel = {place};
  const int8_t *const w = weights + block * {BLOCK * kernel_h * kernel_w};
  const int32_t *const f = factors + block * {4 * BLOCK};
{textwrap.indent(self._pixels(offsets), "  ")}
}}
"""
        return n.declared(text) + text

    def _rows(self, offsets: RowOffsets) -> str:
        """Where the rows of the image below the window are, and which are inside."""
        row = f"(top + i * {self.rows.dilation})"
        return f"""\
const int32_t top = {self.rows.origin("row")};
{self.rows.inside("top")}
const int8_t *rows[{self.rows.kernel}] = {{0}};
for (int32_t i = first_row; i < end_row; ++i) {{
  rows[i] = data + {offsets.at("data", row, self.numbers["row_bytes"])};
}}"""

    def _pixels(self, offsets: RowOffsets) -> str:
        """The loop over the pixels of one block."""
        s, to, n = self.signature, self.to, self.numbers
        start = "f"
        before = ""
        if self.rows.clipped:
            start = "start"
            before = f"""\
int32_t start[{BLOCK}];
if (end_row - first_row == {s.inputs[1].shape[1]}) {{
  (void)memcpy(start, f, sizeof start);
}} else {{
  {self._bias("start", "0", str(s.inputs[1].shape[2]))}
}}
"""
        sums = f"mve_sums sums = mve_load_sums({start});\n{self._whole_rows()}"
        if self.columns.clipped:
            sums = f"""\
mve_sums sums;
if (left >= 0 && left + {self.columns.span} < {self.columns.text("length")}) {{
  sums = mve_load_sums({start});
{textwrap.indent(self._whole_rows(), "  ")}
}} else {{
{textwrap.indent(self._parts_of_rows(), "  ")}
}}"""
        first, end = offsets.range_of(s) if offsets.columns else ("0", n["results"])
        place = "(pixel - column_begin)" if offsets.columns else "pixel"
        return f"""\
{before}for (int32_t pixel = {first}; pixel < {end}; ++pixel) {{
  const int32_t left = {self.columns.origin("pixel")};
{textwrap.indent(sums, "  ")}
  const int32_t *const factor = mve_here(f) + {2 * BLOCK};
  sums.even = {to.scale}(sums.even, mve_load(factor), mve_load(factor + 8));
  sums.odd = {to.scale}(sums.odd, mve_load(factor + 4), mve_load(factor + 12));
  mve_store_sums(out + {place} * {n["result_bytes"]} + channel, sums, {to.limits});
}}"""

    def _biased(self, first_column: str, columns: str) -> str:
        """The sums of a window of which some taps are outside."""
        if self.signature["input_zero_point"] == 0:
            return f"mve_load_sums(f + {BLOCK})"
        outside = self._taken_off(first_column, columns)
        return f"mve_add_weights(mve_load_sums(f + {BLOCK}), {outside})"

    def _bias(self, sums: str, first_column: str, columns: str) -> str:
        """A statement that puts them into an array."""
        return f"mve_bias({sums}, f + {BLOCK}, {self._taken_off(first_column, columns)});"

    def _taken_off(self, first_column: str, columns: str) -> str:
        """Arguments: the zero point's factor, and the weights of the taps that are inside."""
        s = self.signature
        next_row = BLOCK * s.inputs[1].shape[2]
        return (
            f"{-s['input_zero_point']}, w + {next_row} * first_row + {BLOCK} * {first_column}, "
            f"end_row - first_row, {next_row}, {columns}"
        )

    def _whole_rows(self) -> str:
        """Adds the products of all columns of the window."""
        kernel_h, kernel_w = self.rows.kernel, self.columns.kernel
        pixel, step = self.numbers["pixel_bytes"], self.numbers.taps(1)
        taps = []
        for column in range(0, kernel_w, self.group):
            products = f"mve_tap(&x, {step}, &tap)"
            for _ in range(min(self.group, kernel_w - column) - 1):
                products = f"mve_add_tap({products}, &x, {step}, &tap)"
            taps.append(f"sums = mve_widen(sums, {products});")
        some = [
            f"const int8_t *tap = w + {BLOCK * kernel_w} * first_row;",
            "for (int32_t i = first_row; i < end_row; ++i) {",
            f"  const int8_t *x = rows[i] + left * {pixel} + channel;",
            *(f"  {tap}" for tap in taps),
            "}",
        ]
        if kernel_h * kernel_w > _STRAIGHT:
            return "\n".join(some)
        every = self._every_tap()
        if not self.rows.clipped:
            return "\n".join(every)
        every, some = ([f"  {line}" for line in lines] for lines in (every, some))
        inside = f"if (end_row - first_row == {kernel_h}) {{"
        return "\n".join([inside, *every, "} else {", *some, "}"])

    def _every_tap(self) -> list[str]:
        """Adds the products of all taps of the window, read around the middle of each row."""
        kernel_h, kernel_w = self.rows.kernel, self.columns.kernel
        n, middle = self.numbers, kernel_w // 2
        lines = ["const int8_t *tap = w;", "mve_int16x8 products;"]
        group = min(self.across, 2)
        for tap in range(0, kernel_h * kernel_w, group):
            at = []
            for row, column in (
                divmod(t, kernel_w) for t in range(tap, min(tap + group, kernel_h * kernel_w))
            ):
                if column == 0:
                    start = f"rows[{row}] + left * {n['pixel_bytes']} + channel + {n.taps(middle)}"
                    lines.append(f"const int8_t *const x{row} = mve_place({start});")
                at.append(n.beside(f"x{row}", column - middle))
            if tap:
                number = "ONE" if len(at) == 1 else "TWO"
                lines.append(f"MVE_NEXT_{number}(sums, products, {', '.join(at)}, tap);")
                continue
            lines += [
                f"products = {call}{place.replace(', ', ' + ')}, &tap);"
                for call, place in zip(["mve_tap_at(", "mve_add_tap_at(products, "], at)
            ]
        return [*lines, "sums = mve_widen(sums, products);"]

    def _parts_of_rows(self) -> str:
        """Adds the products of the columns that are inside the image."""
        n, kernel_w = self.numbers, self.columns.kernel
        pixel, step = n["pixel_bytes"], n.taps(1)
        place = f"(left + first_column * {self.columns.dilation}) * {pixel} + channel"
        tap = f"w + {BLOCK} * (i * {kernel_w} + first_column)"
        columns = f"""\
{self.columns.inside("left")}
const int32_t columns = end_column - first_column;"""
        if self.group == 1 or kernel_w != 3:
            return f"""\
{columns}
sums = {self._biased("first_column", "columns")};
for (int32_t i = first_row; i < end_row; ++i) {{
  sums = mve_add_taps(sums, rows[i] + {place}, {step}, {tap}, columns, {self.group});
}}"""
        return f"""\
{columns}
if (columns == 2 && first_row < end_row) {{
  sums = {self._sums_of_two_columns()};
  mve_int16x8 products = mve_no_products();
  for (int32_t i = first_row; i < end_row; ++i) {{
    const int8_t *x = mve_place(rows[i] + {place});
    const int8_t *tap = {tap};
    MVE_NEXT_TWO(sums, products, x, 0, {n.beside("x", 1)}, tap);
  }}
  sums = mve_widen(sums, products);
}} else {{
  int32_t few[{BLOCK}];
  {self._bias("few", "first_column", "columns")}
  for (int32_t i = first_row; i < end_row; ++i) {{
    mve_add_columns(few, rows[i] + {place}, {step}, {tap}, columns);
  }}
  sums = mve_load_sums(few);
}}"""

    def _sums_of_two_columns(self) -> str:
        """The sums of a window of which one column is outside, by its weights."""
        s = self.signature
        start = "start" if self.rows.clipped else "f"
        if s["input_zero_point"] == 0:
            return f"mve_load_sums({start})"
        next_row = BLOCK * self.columns.kernel
        return (
            f"mve_add_weights(mve_load_sums({start}), {s['input_zero_point']}, "
            f"w + {next_row} * first_row + (first_column > 0 ? 0 : {2 * BLOCK}), "
            f"end_row - first_row, {next_row}, 1)"
        )
