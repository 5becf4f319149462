"""Comparisons, and elements that they choose.

- constants: by NumPy;
- spelling: truth values as numbers are a choice of 1 and 0; by a sign, a PReLU; between zeros and a
  softmax, the softmax;
- layout: the cheapest operand's;
- selection: `dero.compare`, also for what combines truth values, and `dero.select`;
- elementwise regions: all, so that int8 networks have tables.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm import relax

from ...canonicalization.channels_last import LAYOUT, keep_layout
from ...canonicalization.channels_last_broadcast import broadcast
from ...canonicalization.decompose import SPELLINGS, SpellingRewriter
from ...canonicalization.elementwise_region import VALUES
from ...canonicalization.fold_constants import CONSTANT_ARITHMETIC
from ...canonicalization.select_operators import MORE_TYPES, SELECTION, SelectionRewriter
from ...ir.dataflow import dtype_of, shape_of
from ..compare import Compare
from ..integer_binary import TYPES as WHOLE_NUMBERS
from .binary import with_rows
from .prelu import choice_by_sign
from .registry import Refusal
from .softmax import without_mask

_FUNCTIONS = {
    "equal": np.equal,
    "greater": np.greater,
    "greater_equal": np.greater_equal,
    "less": np.less,
    "less_equal": np.less_equal,
    "not_equal": np.not_equal,
}
_COMPARISONS = tuple(f"relax.{name}" for name in _FUNCTIONS)


@SPELLINGS.register("relax.where")
def _choice(rewriter: SpellingRewriter, call: Any) -> relax.Expr | None:
    found = choice_by_sign(rewriter, call)
    return without_mask(rewriter, call) if found is None else found


_OF_TRUTH_VALUES = {  # with what `compare` says them
    f"relax.{kind}_{name}": function
    for kind in ("logical", "bitwise")
    for name, function in (("and", "logical_and"), ("or", "logical_or"), ("xor", "not_equal"))
}

LAYOUT.register(*_COMPARISONS, *_OF_TRUTH_VALUES, "relax.where")(broadcast)
LAYOUT.register("relax.logical_not")(keep_layout)

CONSTANT_ARITHMETIC.register("relax.where")(np.where)
for _name, _function in _FUNCTIONS.items():
    CONSTANT_ARITHMETIC.register(f"relax.{_name}")(_function)
    VALUES.register(f"relax.{_name}")(lambda _call, a, b, f=_function: f(a, b))


@VALUES.register("relax.where")
def _chosen(_call: Any, condition: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    result: np.ndarray = np.where(condition != 0, a, b)
    return result


MORE_TYPES.register(*_COMPARISONS, "relax.where")((*WHOLE_NUMBERS, "bool"))
MORE_TYPES.register("relax.logical_not", *_OF_TRUTH_VALUES)(("bool",))


@SELECTION.register(*_COMPARISONS)
def _compare(rewriter: SelectionRewriter, var: relax.Var, call: Any) -> relax.Expr:
    if any(dtype_of(arg) not in Compare.dtypes for arg in call.args):
        raise Refusal(f"it compares numbers of {dtype_of(call.args[0])}")
    operands = [rewriter.new(with_rows(rewriter, call, arg)) for arg in call.args]
    return rewriter.dero("compare", operands, function=call.op.name.removeprefix("relax."))


@SELECTION.register("relax.logical_not")
def _negated(rewriter: SelectionRewriter, var: relax.Var, call: Any) -> relax.Expr:
    if dtype_of(call.args[0]) != "bool":
        raise Refusal("it negates numbers")
    false = relax.const(np.zeros([1] * min(1, len(shape_of(call))), bool))
    return rewriter.dero("compare", [rewriter.new(call.args[0]), false], function="equal")


@SELECTION.register(*_OF_TRUTH_VALUES)
def _combined(rewriter: SelectionRewriter, var: relax.Var, call: Any) -> relax.Expr:
    if any(dtype_of(arg) != "bool" for arg in call.args):
        raise Refusal(f"it combines bits of {dtype_of(call.args[0])}")
    operands = [rewriter.new(with_rows(rewriter, call, arg)) for arg in call.args]
    return rewriter.dero("compare", operands, function=_OF_TRUTH_VALUES[call.op.name])


@SELECTION.register("relax.where")
def _choose(rewriter: SelectionRewriter, var: relax.Var, call: Any) -> relax.Expr:
    if dtype_of(call) == "bool" or dtype_of(call.args[0]) != "bool":
        raise Refusal("it chooses among truth values, or by numbers")
    return rewriter.dero(
        "select", [rewriter.new(with_rows(rewriter, call, arg)) for arg in call.args]
    )
