"""Operators that make each pixel of a row from the pixel of their first operand at its place."""

from __future__ import annotations

from typing import ClassVar

from .registry import Operator, Span
from .signature import Signature


class RowToRow(Operator):
    """Base of the operators whose output row r needs row r of ``data``, and no other.

    Their kernels loop as `PixelLoop` does, and have read what they need of a pixel before they
    write it: a row may be written over the one it is made from if both are laid out alike.
    """

    arguments: ClassVar[tuple[str, ...]] = ("data",)

    def needed_rows(self, signature: Signature, argument: int, row: int) -> Span:
        return row, row + 1

    def needed_columns(self, signature: Signature, argument: int, column: int) -> Span | None:
        return column, column + 1

    def in_place_arguments(self, signature: Signature) -> tuple[int, ...]:
        data, out = signature.inputs[0], signature.output
        alike = data.itemsize == out.itemsize and data.pixel_stride == out.pixel_stride
        return (0,) if alike else ()
