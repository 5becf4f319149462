"""How the text of a kernel finds the rows of its operands: in rings, or by tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from relax_passes.operators import Signature


@dataclass(frozen=True)
class RowOffsets:
    """C expressions for the places of rows.

    `units` holds, for each operand whose rows a table gives, the bytes of one unit of it; the
    rows of others lie in rings (see `CKernel`).
    """

    units: Mapping[str, int] = field(default_factory=dict)

    def at(self, operand: str, row: str, row_bytes: int | str) -> str:
        """Where row `row` of an int8 operand begins, in bytes from its base.

        `row` is a name or an expression in parentheses; `row_bytes` are those from row to row.
        """
        if operand not in self.units:
            return f"{row} % {operand}_rows * {row_bytes}"
        entry = f"{operand}_rows[1 + {row} % {operand}_rows[0]]"
        unit = self.units[operand]
        return entry if unit == 1 else f"{entry} * {unit}"

    def rows_of(self, signature: Signature, operands: Iterable[str] = ("data",)) -> str:
        """Statements that move the first operands from their bases to row ``row``."""
        specs = zip(operands, signature.inputs, strict=False)
        return "".join(
            f"{name} += {self.at(name, 'row', spec.row_stride)};\n" for name, spec in specs
        )

    def under(self) -> str:
        """Statements that declare the `rows` of ``data`` under a window, and its `vertical` taps.

        The kernel has a constant ``window`` (see `pack_window`).
        """
        place = "(const int8_t *)data, data_rows"
        function = "rows_under"
        if "data" in self.units:
            place += f", {self.units['data']}"
            function = "rows_under_table"
        return (
            "const struct window *w = (const struct window *)window;\n"
            "const int8_t *rows[WINDOW_TALLEST];\n"
            f"const struct taps vertical = {function}(w, row, {place}, rows);\n"
        )


Body = str | Callable[[RowOffsets], str]
"""The statements of a kernel; those that find rows by rings alone may be a text."""


def body_text(body: Body, offsets: RowOffsets) -> str:
    """The statements for operands that lie as `offsets` says."""
    return body if isinstance(body, str) else body(offsets)
