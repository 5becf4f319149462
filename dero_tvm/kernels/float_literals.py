"""Floating-point literals in C that are exactly the numbers of the kernel.

TVM's C generator prints them with seven significant digits, which is a neighbouring number for
about half of all float32 values.  Before generation each literal becomes a call of a function
that does not exist; in the generated text the calls become literals again, with enough digits.
"""

from __future__ import annotations

import math
import re

import tvm_ffi
from tvm import tirx

_CALL = re.compile(r"\btvmgen_literal_(\d+)\(\)")


def float_literal(value: float, dtype: str) -> str:
    """C text of a number, which a C compiler reads back as exactly `value` of type `dtype`."""
    if math.isnan(value):
        return "NAN"
    if math.isinf(value):
        return "INFINITY" if value > 0 else "-INFINITY"
    # Nine significant digits tell every float32 apart, seventeen every float64.
    text = f"{value:.9g}" if dtype == "float32" else f"{value:.17g}"
    text = text if any(c in text for c in ".e") else f"{text}.0"
    return f"{text}f" if dtype == "float32" else text


class FloatLiterals:
    """The literals of some functions, hidden from the C generator and put back afterwards."""

    def __init__(self) -> None:
        self._texts: list[str] = []

    def hide(self, function: tirx.PrimFunc) -> tirx.PrimFunc:
        """The function with a numbered call in the place of each literal."""
        return function.with_body(
            tvm_ffi.structural_map(function.body, (tirx.FloatImm, self._placeholder))
        )

    def restore(self, code: str) -> str:
        """Generated C with literals in the place of the calls."""
        return _CALL.sub(lambda match: self._texts[int(match[1])], code)

    def _placeholder(self, literal: tirx.FloatImm) -> tirx.Expr:
        dtype = str(literal.ty)
        text = float_literal(float(literal.value), dtype)
        self._texts.append(f"({text})" if text.startswith("-") else text)
        name = f"tvmgen_literal_{len(self._texts) - 1}"
        return tirx.call_pure_extern(dtype, name)
