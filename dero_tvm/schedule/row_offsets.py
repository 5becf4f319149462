"""How the text of a kernel finds the rows of its operands: in rings, or by tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from relax_passes.operators import Signature, TensorSpec


@dataclass(frozen=True)
class StripRows:
    """Bytes from row to row and from column to column of a strip."""

    row_bytes: int
    pixel_bytes: int


@dataclass(frozen=True)
class RowOffsets:
    """C expressions for the places of rows.

    `units` holds, for each operand whose rows a table gives, the bytes of one unit of it; the
    rows of others lie in rings (see `CKernel`).  With `columns` the kernel makes those from
    ``column_begin`` to ``column_end`` of its row; operands with `strips` then have rows that begin
    with column ``<operand>_first``.
    """

    units: Mapping[str, int] = field(default_factory=dict)
    columns: bool = False
    strips: Mapping[str, StripRows] = field(default_factory=dict)

    def base(self, operand: str) -> str:
        """The pointer from which `at` counts."""
        return operand

    def height(self, operand: str) -> str:
        """The rows of an operand's ring, or its table."""
        return f"{operand}_rows"

    def at(self, operand: str, row: str, row_bytes: int | str) -> str:
        """Where column 0 of row `row` of an operand lies, or would lie, in bytes from its base.

        `row` is a name or an expression in parentheses; `row_bytes` are those from row to row.
        """
        if operand in self.strips:
            strip = self.strips[operand]
            first = f"{operand}_first * {strip.pixel_bytes}"
            return f"({row} % {operand}_rows * {strip.row_bytes} - {first})"
        if operand not in self.units:
            return f"{row} % {self.height(operand)} * {row_bytes}"
        table = self.height(operand)
        entry = f"{table}[1 + {row} % {table}[0]]"
        unit = self.units[operand]
        return entry if unit == 1 else f"{entry} * {unit}"

    def first_at(self, operand: str, spec: TensorSpec) -> str:
        """Where the first column to be made lies in row ``row`` of an operand, as `at`."""
        start = self.at(operand, "row", spec.row_bytes)
        if not self.columns:
            return start
        return f"{start} + column_begin * {spec.pixel_stride * spec.itemsize}"

    def pixels(self, signature: Signature) -> str:
        """How many pixels the kernel makes."""
        return "(column_end - column_begin)" if self.columns else str(signature.output.pixels)

    def range_of(self, signature: Signature) -> tuple[str, str]:
        """The first column that the kernel makes, and the one behind the last."""
        if self.columns:
            return "column_begin", "column_end"
        return "0", str(signature.output.pixels)

    def elements(self, signature: Signature) -> str:
        """How many elements the kernel makes."""
        output = signature.output
        if self.columns:
            return f"{self.pixels(signature)} * {output.channels}"
        return str(output.pixels * output.channels)

    def rows_of(self, signature: Signature, operands: Iterable[str] = ("data",)) -> str:
        """Statements that move the first operands, int8, from their bases to what is read."""
        specs = zip(operands, signature.inputs, strict=False)
        return "".join(f"{name} += {self.first_at(name, spec)};\n" for name, spec in specs)

    def under(self, *, from_first: bool = True, tallest: int = 16) -> str:
        """Statements that declare the `rows` of ``data`` under a window, and its `vertical` taps.

        The kernel has a constant ``window`` (see `pack_window`).  Of a range of columns the window
        `w` is one that makes no others; without `from_first` it goes on counting from column 0.
        tallest: rows of a window at most, if more than 16.
        """
        if self.columns:
            return self._under_columns(from_first, tallest)
        place = f"(const int8_t *){self.base('data')}, {self.height('data')}"
        function = "rows_under"
        if "data" in self.units:
            place += f", {self.units['data']}"
            function = "rows_under_table"
        return (
            "const struct window *w = (const struct window *)window;\n"
            f"const int8_t *rows[{tallest if tallest > 16 else 'WINDOW_TALLEST'}];\n"
            f"const struct taps vertical = {function}(w, row, {place}, rows);\n"
        )

    @property
    def whole(self) -> str:
        """Behind `under`, the window of all columns, for what does not look at columns.

        What is given `w` to a function that is not inlined lies in memory, all of it.
        """
        return "whole" if self.columns else "w"

    def pixels_under(self, *, from_first: bool = True) -> str:
        """Statements that declare the window `w` and the place of the data of `pixels` results.

        The first of these reads at ``pixel``; without `from_first` there is ``pixel_0``, where
        column 0 does.  For windows of single pixels without padding.
        """
        row = self.at("data", "(row * w->stride_h)", "(w->in_width * w->in_pixel)")
        lines = "const struct window *w = (const struct window *)window;\n"
        place = f"(const int8_t *){self.base('data')} + {row}"
        if not from_first:
            return f"{lines}const int8_t *pixel_0 = {place};\n"
        if not self.columns:
            return f"{lines}const int8_t *pixel = {place};\nconst int32_t pixels = w->out_width;\n"
        return (
            f"{lines}const int8_t *pixel = {place}\n"
            "    + column_begin * (w->stride_w * w->in_pixel);\n"
            "const int32_t pixels = column_end - column_begin;\n"
        )

    def _under_columns(self, from_first: bool, tallest: int) -> str:
        """`under` for a range of columns: an image that begins with the first one of the strip."""
        place, function, strip = "(const int8_t *)data, data_rows", "rows_under", ""
        width, left = "", "seen.left - column_begin * seen.stride_w" if from_first else "seen.left"
        if "data" in self.units:
            place += f", {self.units['data']}"
            function = "rows_under_table"
        if "data" in self.strips:
            rows = self.strips["data"]
            strip = f"seen.in_width = {rows.row_bytes // rows.pixel_bytes};\n"
            width = "seen.in_width = (int16_t)(whole->in_width - data_first);\n"
            left += " + data_first"
        return (
            "const struct window *whole = (const struct window *)window;\n"
            "struct window seen = *whole;\n"
            f"const int8_t *rows[{tallest if tallest > 16 else 'WINDOW_TALLEST'}];\n"
            f"{strip}"
            f"const struct taps vertical = {function}(&seen, row, {place}, rows);\n"
            f"{width}"
            f"seen.left = (int16_t)({left});\n"
            "seen.out_width = (int16_t)(column_end - column_begin);\n"
            "const struct window *w = &seen;\n"
        )


Body = str | Callable[[RowOffsets], str]
"""The statements of a kernel; those that find rows by rings alone may be a text."""


def body_text(body: Body, offsets: RowOffsets) -> str:
    """The statements for operands that lie as `offsets` says."""
    return body if isinstance(body, str) else body(offsets)
