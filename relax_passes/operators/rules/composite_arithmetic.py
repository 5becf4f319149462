"""Arithmetic that says in another way what a simpler operator does.

- spelling: clamps by a constant are clips; a power of one, and a sign times a magnitude, are their
  operand.
"""

from __future__ import annotations

import math
from typing import Any

from tvm import relax

from ...canonicalization.decompose import SPELLINGS, SpellingRewriter
from ...ir.dataflow import dtype_of, is_call, shape_of


@SPELLINGS.register("relax.nn.relu6")
def _relu6(rewriter: SpellingRewriter, call: Any) -> relax.Expr:
    return relax.op.clip(rewriter.new(call.args[0]), 0, 6)


@SPELLINGS.register("relax.maximum", "relax.minimum")
def _bound(rewriter: SpellingRewriter, call: Any) -> relax.Expr | None:
    for operand, bound in (call.args, reversed(list(call.args))):
        constant = rewriter.old.constant(bound)
        if constant is None or constant.is_quantized or constant.values.size != 1:
            continue
        if shape_of(operand) != shape_of(call) or "float" not in dtype_of(call):
            continue
        value = float(constant.values.reshape(-1)[0])
        low, high = (value, math.inf) if is_call(call, "relax.maximum") else (-math.inf, value)
        return relax.op.clip(rewriter.new(operand), low, high)
    return None


@SPELLINGS.register("relax.power")
def _power(rewriter: SpellingRewriter, call: Any) -> relax.Expr | None:
    exponent = rewriter.old.constant(call.args[1])
    same = shape_of(call.args[0]) == shape_of(call)
    if exponent is None or not same or (exponent.real() != 1.0).any():
        return None
    return rewriter.new(call.args[0])


@SPELLINGS.register("relax.multiply")
def _signed_magnitude(rewriter: SpellingRewriter, call: Any) -> relax.Expr | None:
    """As PyTorch's power pooling says x, for the sake of its gradient."""
    for sign, magnitude in (call.args, reversed(list(call.args))):
        parts = [rewriter.old.definition(sign), rewriter.old.definition(magnitude)]
        if is_call(parts[1], "relax.nn.relu"):
            parts[1] = rewriter.old.definition(parts[1].args[0])
        if is_call(parts[0], "relax.sign") and is_call(parts[1], "relax.abs"):
            if parts[0].args[0].same_as(parts[1].args[0]):
                return rewriter.new(parts[0].args[0])
    return None
