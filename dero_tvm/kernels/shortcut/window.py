"""The window of a shortcut as C: the rows and columns of the image under it, and sums of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from dero_tvm.schedule.row_offsets import RowOffsets
from relax_passes.operators import Signature
from relax_passes.operators.shortcut_steps import Term

from .steps import Numbers, less, plus, times


@dataclass(frozen=True)
class ShortcutWindow:
    """The window of a `shortcut_conv2d`: statements of a row, of a pixel, of a channel."""

    signature: Signature
    numbers: Numbers

    @property
    def is_a_pixel(self) -> bool:
        """Whether the window has one tap, which lies in the image."""
        return tuple(self.signature["pool_size"]) == (1, 1)

    @property
    def taps(self) -> int:
        """The most elements of a channel that are summed."""
        return math.prod(self.signature["pool_size"])

    def rows(self, offsets: RowOffsets) -> str:
        """Statements that find the rows under the window of row ``row``, in ``image``."""
        s, number = self.signature, self.numbers.name
        data, (top, *_) = s.inputs[0], s["pool_padding"]
        stride = s["strides"][0]
        if self.is_a_pixel:
            row = "row" if stride == 1 else f"({times('row', stride)})"
            return f"const int8_t *const seen = image + {offsets.at('data', row, data.row_stride)};"
        return "\n".join(
            [
                f"const int8_t *seen[{s['pool_size'][0]}];",
                "int32_t tall = 0;",
                f"for (int32_t tap = 0; tap < {s['pool_size'][0]}; ++tap) {{",
                f"  const int32_t y = {times('row', stride)} - {top} + tap;",
                f"  if (y >= 0 && y < {number(data.shape[1])}) {{",
                f"    seen[tall++] = image + {offsets.at('data', 'y', data.row_stride)};",
                "  }",
                "}",
            ]
        )

    def columns(self) -> str:
        """Statements that find the columns under the window of ``pixel``."""
        s, number = self.signature, self.numbers.name
        data, (_, left, *_) = s.inputs[0], s["pool_padding"]
        stride, step = s["strides"][1], number(data.pixel_stride)
        if self.is_a_pixel:
            return f"const int8_t *const at = seen + {times('pixel', stride)} * {step};"
        width = number(data.shape[2])
        return "\n".join(
            [
                f"const int32_t x = {times('pixel', stride)} - {left}, step = {step};",
                "const int32_t first = x < 0 ? 0 : x;",
                f"const int32_t last = x + {s['pool_size'][1]} < {width} ? x + "
                f"{s['pool_size'][1]} : {width};",
                "const int32_t begin = first * step, end = last * step;",
                "const int32_t taps = tall * (last - first);",
            ]
        )

    def sum(self, term: Term, channel: str, before: list[str]) -> str:
        """The sum of a term's channels over the window, less its zero for each; see `Source`."""
        number = self.numbers.name
        place = plus(channel, term.first, self.numbers)
        if term.count == 1 and not term.guarded:
            return self._sum_at(place, term.zero)
        name = self.numbers.unique("place")
        condition = ""
        if term.guarded:
            condition = f"{number(term.begin)} <= {name} && {name} < {number(term.end)}"
        if term.count == 1:
            before.append(f"const int32_t {name} = {place};")
            return f"({condition} ? {self._sum_at(name, term.zero)} : 0)"
        total = self.numbers.unique("sum")
        before += [
            f"int32_t {total} = 0;",
            f"for (int32_t j = 0; j < {number(term.count)}; ++j) {{",
            f"  const int32_t {name} = {place} + j * {number(term.stride)};",
            f"  {total} += {self._added(condition, self._sum_at(name, term.zero))};",
            "}",
        ]
        return total

    @staticmethod
    def _added(condition: str, value: str) -> str:
        return f"{condition} ? {value} : 0" if condition else value

    def _sum_at(self, channel: str, zero: int) -> str:
        if self.is_a_pixel:
            return less(f"at[{channel}]", zero, self.numbers)
        window = f"shortcut_window(seen, tall, begin + {channel}, end + {channel}, step)"
        return f"{window} - taps * {self.numbers.name(zero)}" if zero else window
