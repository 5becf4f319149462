"""Numbers in another type, and quotients and remainders of integers that stand for themselves.

- layout: as their operand, or as the cheapest one;
- selection: `dero.cast`, `dero.integer_binary`; sums, products and the like are in `binary`.
"""

from __future__ import annotations

from typing import Any

from tvm import relax

from ...canonicalization.channels_last import LAYOUT
from ...canonicalization.channels_last_broadcast import broadcast
from ...canonicalization.select_operators import MORE_TYPES, SELECTION, SelectionRewriter
from ...ir.dataflow import dtype_of
from ..cast import TYPES
from ..integer_binary import TYPES as WHOLE_NUMBERS
from .binary import whole_numbers
from .registry import Refusal

_QUOTIENTS = ("relax.floor_divide", "relax.floor_mod", "relax.mod")

LAYOUT.register(*_QUOTIENTS)(broadcast)


MORE_TYPES.register("relax.astype")((*WHOLE_NUMBERS, "bool", "uint8"))
MORE_TYPES.register(*_QUOTIENTS)(WHOLE_NUMBERS)


@SELECTION.register("relax.astype")
def _cast(rewriter: SelectionRewriter, var: relax.Var, call: Any) -> relax.Expr:
    if dtype_of(call) not in TYPES:
        raise Refusal(f"it converts to {dtype_of(call)}")
    return rewriter.dero("cast", [rewriter.new(call.args[0])], dtype=dtype_of(call))


@SELECTION.register(*_QUOTIENTS)
def _divided(rewriter: SelectionRewriter, var: relax.Var, call: Any) -> relax.Expr:
    if {dtype_of(arg) for arg in call.args} - set(WHOLE_NUMBERS):
        raise Refusal(f"it divides numbers of {dtype_of(call)}")
    return whole_numbers(rewriter, call)
