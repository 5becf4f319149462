"""Softmax and its logarithm.

- spelling (`choice.py`): one whose rows are never masked throughout, without a mask;
- layout: with that axis last;
- selection: along the last axis, `dero.softmax` and its logarithm;
- integers: with LiteRT's scale and zero point of the result;
- the network's description: an activation.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm import relax

from ...canonicalization.channels_last import LAYOUT, LayoutRewriter
from ...canonicalization.decompose import SpellingRewriter
from ...canonicalization.integer_arithmetic import INTEGERS, IntegerRewriter
from ...canonicalization.integer_operand import Quantized, integer_clamp, integer_factors
from ...canonicalization.select_operators import SELECTION, SelectionRewriter, check_float32
from ...ir.dataflow import is_call, shape_of
from ...ir.operator_graph import Node
from ...reorganization.cannot_reorganize import no_counterpart
from ...reorganization.description import Activate, Activation
from ...reorganization.partial_description import DESCRIPTION, DescribedTensor, PartialDescription
from .. import quantized as factors
from ..fixed_point import INT8_MIN
from ..softmax import MOST_INT8_CHANNELS
from .registry import Refusal

_ON_MASKS = ("relax.logical_not", "relax.astype", "relax.max", "relax.any", "relax.reshape")


def without_mask(rewriter: SpellingRewriter, call: Any) -> relax.Expr | None:
    """PyTorch's attention: 0 in place of the softmax of a row that is -inf throughout.

    It is the softmax alone where no mask makes a row -inf.
    """
    condition, zeros, data = call.args
    softmax, constant = rewriter.old.definition(data), rewriter.old.constant(zeros)
    if not is_call(softmax, "relax.nn.softmax") or constant is None or constant.values.any():
        return None
    test: Any = rewriter.old.definition(condition)
    while is_call(test, *_ON_MASKS):
        test = rewriter.old.definition(test.args[0])
    infinite = rewriter.old.constant(test.args[1]) if is_call(test, "relax.equal") else None
    if infinite is None or not test.args[0].same_as(softmax.args[0]):
        return None
    if not (infinite.values == -np.inf).all() or shape_of(call) != shape_of(data):
        return None
    scores: Any = rewriter.old.definition(softmax.args[0])
    for arg in scores.args if is_call(scores, "relax.add") else []:
        mask = rewriter.old.constant(arg)
        if mask is None:
            continue
        hidden = np.broadcast_to(mask.real() == -np.inf, shape_of(scores))
        if hidden.all(axis=softmax.attrs.axis).any():
            return None
    return rewriter.new(data)


@LAYOUT.register("relax.nn.softmax", "relax.nn.log_softmax")
def _layout(rewriter: LayoutRewriter, var: relax.Var, call: Any) -> relax.Expr:
    data, layout = rewriter.innermost(call.args[0], call.attrs.axis % len(shape_of(call)))
    function = relax.op.nn.softmax
    if is_call(call, "relax.nn.log_softmax"):
        function = relax.op.nn.log_softmax
    return rewriter.keep(var, function(data, axis=-1), layout)


@SELECTION.register("relax.nn.softmax", "relax.nn.log_softmax")
def _select(rewriter: SelectionRewriter, var: relax.Var, call: Any) -> relax.Expr:
    axis, rank = call.attrs.axis % len(shape_of(call)), len(shape_of(call))
    if axis != rank - 1:
        raise Refusal(f"its axis {axis} is not the last of {rank}")
    check_float32(call)
    logarithm = is_call(call, "relax.nn.log_softmax")
    return rewriter.dero("softmax", [rewriter.new(call.args[0])], logarithm=logarithm)


@INTEGERS.register("relax.nn.softmax")
def _integers(rewriter: IntegerRewriter, var: relax.Var, call: Any) -> relax.Expr | None:
    source, beta = _scaled(rewriter, call.args[0])
    if source is None:
        return None
    if call.attrs.axis % len(shape_of(call)) != len(shape_of(call)) - 1:
        raise Refusal("it is not along the last axis")
    if shape_of(call)[-1] > MOST_INT8_CHANNELS:
        raise Refusal(f"in int8 it has at most {MOST_INT8_CHANNELS:,} channels")
    epilogue = rewriter.epilogue(var)
    if (epilogue.scale, epilogue.zero_point) != (1 / 256, INT8_MIN):
        raise Refusal(
            f"its output has scale {epilogue.scale:.6g} and zero point {epilogue.zero_point}, "
            "not 1/256 and -128"
        )
    if integer_clamp(epilogue) != {"minimum": None, "maximum": None}:
        raise Refusal("its output is clamped")
    return rewriter.dero(
        "softmax",
        [source.data],
        epilogue.fused,
        **integer_factors(factors.softmax_factors, source.scale, beta),
    )


def _scaled(rewriter: IntegerRewriter, expr: relax.Expr) -> tuple[Quantized | None, float]:
    """The quantized tensor behind `expr`, and the positive number it is multiplied by."""
    call = rewriter.old.definition(expr)
    if is_call(call, "relax.multiply"):
        for data, other in (call.args, reversed(list(call.args))):
            constant = rewriter.constant(other)
            if constant is None or constant.values.size != 1:
                continue
            factor = float(constant.real().reshape(-1)[0])
            source = rewriter.quantized(data)
            if source is not None and factor > 0:
                return source, factor
    return rewriter.quantized(expr), 1.0


@DESCRIPTION.register("dero.softmax")
def _describe(description: PartialDescription, name: str, data: Node) -> DescribedTensor:
    if data.signature.attrs["logarithm"]:
        raise no_counterpart(name, data, " with its logarithm")
    (source,) = description.sources(name, data)
    return description.add(
        Activate(name, (source,), description.shape(source), Activation("softmax"))
    )
