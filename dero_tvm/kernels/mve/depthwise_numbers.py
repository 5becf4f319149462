"""The numbers in the text of a depthwise kernel: literals, or what it reads from a constant."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from relax_passes.operators import Signature

from .clipped import Axis

_NEAR = 128  # bytes from the register of an address, which an instruction can have in itself
_FEW_TAPS = 9  # beside which some loads of numbers for each pixel weigh


@dataclass(frozen=True)
class Numbers:
    """Of one layer, by name.  With `shared` the text has the names, else the numbers.

    Zero points and limits are none of them: most layers have the same ones.
    """

    values: dict[str, int]
    dilation: int  # of columns
    shared: bool

    @staticmethod
    def of(s: Signature, axes: Iterable[Axis], block: int) -> Numbers:
        """Of a layer whose taps are computed `block` channels at a time."""
        data, out, (_, rows, columns, _) = s.inputs[0], s.output, s.inputs[1].shape
        values = {
            "pixel_bytes": data.pixel_stride,
            "row_bytes": data.row_stride,
            "blocks": -(-out.channels // block),
            "last_block": out.channels - block,
            "result_bytes": out.pixel_stride,
            "results": out.pixels,
        }
        for axis in axes:
            values |= axis.numbers
        dilation = s["dilation"][1]
        far = columns // 2 * dilation * data.pixel_stride >= _NEAR
        return Numbers(values, dilation, far and rows * columns > _FEW_TAPS)

    @property
    def constant(self) -> np.ndarray:
        """What `declared` reads."""
        return np.array(list(self.values.values()), np.int32)

    def declared(self, text: str) -> str:
        """Statements that declare the names in a text."""
        if not self.shared:
            return ""
        return "".join(
            f"const int32_t {name} = shape[{place}];\n"
            for place, name in enumerate(self.values)
            if re.search(rf"\b{name}\b", text)
        )

    def __getitem__(self, name: str) -> str:
        return name if self.shared else str(self.values[name])

    def taps(self, count: int) -> str:
        """Bytes from one tap of a row to the one `count` taps farther."""
        if self.shared:
            return f"{count * self.dilation} * pixel_bytes"
        return str(count * self.dilation * self.values["pixel_bytes"])

    def beside(self, pointer: str, count: int) -> str:
        """That tap as a pointer and a literal distance, two arguments of a macro."""
        distance = count * self.dilation * self.values["pixel_bytes"]
        if not self.shared and abs(distance) < _NEAR:
            return f"{pointer}, {distance}"
        return f"{pointer} + {self.taps(count)}, 0" if count else f"{pointer}, 0"

    def named(self, axes: Iterable[Axis]) -> tuple[Axis, ...]:
        """The axes with names in their texts where this has them."""
        return tuple(replace(axis, named=self.shared) for axis in axes)
