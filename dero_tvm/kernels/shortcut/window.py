"""The window of a shortcut as C: the rows and columns of the image under it, and sums of them."""

from __future__ import annotations

from dataclasses import dataclass

from dero_tvm.schedule.row_offsets import RowOffsets
from relax_passes.operators import Signature
from relax_passes.operators.shortcut_steps import Term

from .steps import Numbers


@dataclass(frozen=True)
class ShortcutWindow:
    """The window of a `shortcut_conv2d`: statements of a row, of a pixel, of a channel."""

    signature: Signature
    numbers: Numbers

    @property
    def _is_a_pixel(self) -> bool:
        return tuple(self.signature["pool_size"]) == (1, 1)

    def rows(self, offsets: RowOffsets) -> str:
        """Statements that find the rows under the window of row ``row``, in ``image``."""
        s, number = self.signature, self.numbers.name
        data, (top, *_) = s.inputs[0], s["pool_padding"]
        stride = s["strides"][0]
        if self._is_a_pixel:
            row = "row" if stride == 1 else f"(row * {stride})"
            return f"const int8_t *const seen = image + {offsets.at('data', row, data.row_stride)};"
        return "\n".join(
            [
                f"const int8_t *seen[{s['pool_size'][0]}];",
                "int32_t tall = 0;",
                f"for (int32_t tap = 0; tap < {s['pool_size'][0]}; ++tap) {{",
                f"  const int32_t y = row * {stride} - {top} + tap;",
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
        if self._is_a_pixel:
            return f"const int8_t *const at = seen + pixel * {stride} * {step};"
        width = number(data.shape[2])
        return "\n".join(
            [
                f"const int32_t x = pixel * {stride} - {left}, step = {step};",
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
        zero, first = number(term.zero), number(term.first)
        if term.count == 1 and not term.guarded:
            return self._sum_at(f"{channel} + {first}", zero)
        total, count, stride = self.numbers.unique("sum"), number(term.count), number(term.stride)
        condition = ""
        if term.guarded:
            condition = f"if ({number(term.begin)} <= place && place < {number(term.end)}) "
        before += [
            f"int32_t {total} = 0;",
            f"for (int32_t j = 0; j < {count}; ++j) {{",
            f"  const int32_t place = {channel} + {first} + j * {stride};",
            f"  {condition}{{ {total} += {self._sum_at('place', zero)}; }}",
            "}",
        ]
        return total

    def _sum_at(self, channel: str, zero: str) -> str:
        if self._is_a_pixel:
            return f"at[{channel}] - {zero}"
        window = f"shortcut_window(seen, tall, begin + {channel}, end + {channel}, step)"
        return f"{window} - taps * {zero}"
