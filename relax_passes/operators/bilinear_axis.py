"""Where bilinear resizing reads along one axis: two neighbours and their weights, as integers.

Everything here takes Python integers, which give the rows that an output row needs, and TIR
expressions, which give the kernel.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import gcd
from typing import Any

from tvm.script import tirx as T

_FINEST = 1 << 12  # denominators of scales: frameworks' are decimal numbers of few digits


@dataclass(frozen=True)
class Axis:
    """Output index i lies at ``(numerator * i + offset) / one`` between input indices.

    With `rounded` it does so as in LiteRT's integer kernel: indices before the first have a
    negative weight for the second neighbour, which is the first one again.
    """

    length: int  # of the input
    numerator: int
    offset: int
    one: int
    rounded: bool = False

    @staticmethod
    def of(length: int, out_length: int, coordinates: str, scale: float | None) -> Axis:
        """Exact positions; `scale` are input indices by output index, None for the quotient."""
        step = Fraction(length, out_length)
        if scale is not None:
            step = Fraction(scale).limit_denominator(_FINEST)
        origin = Fraction(0)
        if coordinates == "align_corners":
            step = Fraction(length - 1, out_length - 1) if out_length > 1 else Fraction(0)
        elif coordinates == "half_pixel_symmetric":
            origin = (step * (1 - out_length) + length - 1) / 2
        elif coordinates == "half_pixel" or (coordinates != "asymmetric" and out_length > 1):
            origin = step / 2 - Fraction(1, 2)
        elif coordinates != "asymmetric":  # PyTorch's half pixels, of a single one
            step = Fraction(0)
        one = step.denominator * origin.denominator // gcd(step.denominator, origin.denominator)
        return Axis(length, int(step * one), int(origin * one), one)

    @staticmethod
    def of_litert(length: int, out_length: int, coordinates: str, bits: int) -> Axis:
        """Positions with `bits` fractional bits, as LiteRT's integer kernel rounds them."""
        one = 1 << bits
        if coordinates == "align_corners" and out_length > 1:
            step = (one * (length - 1) + (out_length - 1) // 2) // (out_length - 1)
        else:
            step = (one * length + out_length // 2) // out_length
        offset = step // 2 - one // 2 if coordinates == "half_pixel" else 0
        return Axis(length, step, offset, one, rounded=True)

    def place(self, index: Any) -> Any:
        """The position, times `one`."""
        place = self.numerator * index + self.offset
        if self.rounded:
            return place
        last = (self.length - 1) * self.one
        if isinstance(place, int):
            return min(max(place, 0), last)
        return T.min(T.max(place, 0), last)

    def neighbours(self, place: Any) -> tuple[Any, Any]:
        """The input indices before and after a position; the same one twice if it is on it."""
        one, last = self.one, self.length - 1
        if isinstance(place, int):
            return min(max(place // one, 0), last), min(max(-(-place // one), 0), last)
        before = T.min(T.max(T.truncdiv(place, one), 0), last)
        after = T.min(T.truncdiv(T.max(place, 0) + (one - 1), one), last)
        return before, after
