"""Functions of single int16 elements, which are too many for a table of all values.

- integers: those of LiteRT.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from tvm import relax

from ...canonicalization.epilogue import Epilogue
from ...canonicalization.fold_constants import clip_bounds
from ...canonicalization.integer_arithmetic import INTEGERS, IntegerRewriter
from ...canonicalization.integer_operand import Quantized, integer_clamp, integer_factors
from ...ir.dataflow import is_call
from .. import quantized as factors
from ..sigmoid_table import sigmoid_table
from .registry import Refusal


def _clamp(
    rewriter: IntegerRewriter, call: Any, source: Quantized, epilogue: Epilogue
) -> relax.Expr:
    if epilogue.low is not None or epilogue.high is not None:
        raise Refusal("its output is clamped once more")
    if epilogue.low is not None or epilogue.high is not None:
        raise Refusal("its output is clamped once more")
    bounds = (0.0, math.inf) if is_call(call, "relax.nn.relu") else clip_bounds(call)
    low, high = (None if math.isinf(bound) else bound for bound in bounds)
    limits = integer_clamp(replace(epilogue, low=low, high=high))
    factor = integer_factors(factors.relu_factors, source.scale, epilogue.scale, "int16")
    parameters = {"multiplier": factor[0], "shift": factor[1], "dtype": "int16"}
    return rewriter.dero("requantize", [source.data], epilogue.fused, **parameters, **limits)


def _leaky_relu(
    rewriter: IntegerRewriter, call: Any, source: Quantized, epilogue: Epilogue
) -> relax.Expr:
    _refuse_clamp(epilogue)
    alpha = float(call.attrs.alpha)
    slope = relax.const(np.array([-1 if alpha < 0 else 1], np.int16))
    return rewriter.dero(
        "prelu",
        [source.data, slope],
        epilogue.fused,
        zero_points=(0, 0, 0),
        **integer_factors(factors.leaky_relu_factors, source.scale, alpha, epilogue.scale, "int16"),
    )


def _sigmoid(
    rewriter: IntegerRewriter, call: Any, source: Quantized, epilogue: Epilogue
) -> relax.Expr:
    _refuse_clamp(epilogue)
    assert epilogue.scale is not None
    if not factors.is_near_power(epilogue.scale, -15):
        raise Refusal(f"its output has scale {epilogue.scale:.6g}, not 1/32768")
    function = call.op.name.removeprefix("relax.")
    whole = (0,) if function == "sigmoid" else (0, 1)
    attrs = integer_factors(factors.sigmoid_factors, source.scale, whole)
    operands = [source.data, relax.const(sigmoid_table())]
    return rewriter.dero("sigmoid", operands, epilogue.fused, function=function, **attrs)


def _refuse_clamp(epilogue: Epilogue) -> None:
    if integer_clamp(epilogue) != {"minimum": None, "maximum": None}:
        raise Refusal("its output is clamped")


_FUNCTIONS: dict[str, Callable[[IntegerRewriter, Any, Quantized, Epilogue], relax.Expr]] = {
    "relax.clip": _clamp,
    "relax.nn.leakyrelu": _leaky_relu,
    "relax.nn.relu": _clamp,
    "relax.sigmoid": _sigmoid,
    "relax.tanh": _sigmoid,
}


@INTEGERS.register(*_FUNCTIONS)
def _integers(rewriter: IntegerRewriter, var: relax.Var, call: Any) -> relax.Expr | None:
    source = rewriter.quantized(call.args[0], ("int16",))
    if source is None:
        if rewriter.is_quantized(call.args[0]):
            raise Refusal("it has no integer form")
        return None
    return _FUNCTIONS[call.op.name](rewriter, call, source, rewriter.epilogue(var, dtype="int16"))
