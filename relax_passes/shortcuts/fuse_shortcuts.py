"""`FuseShortcuts`: a convolution and a shortcut over it alone become one operator.

    add(act(conv2d(norm(x))), shortcut(x))   ->   dero.shortcut_conv2d(x)

where the shortcut is any chain of average or sum pooling, padding and slicing of channels,
concatenation, factors and summands for each channel, and additions, that amounts to

    scale * fold(window_sum(x)) + offset

`fold` adding up slices of as many channels as the output has (`channel_sums` looks at what the
chain computes, not at how it is written).  In int8, with ONNX Runtime's rounding, every value
that the network rounds is rounded in the fused operator too, so the result is the same up to ties.

Reorganized networks are made of such pairs.  Exported as they are, the shortcut is a tensor beside
the convolution's input and output; fused, nothing of it is in memory, and it reads the rows that
the convolution reads anyway.  The fused operator stands where the addition stood, or in int8
where the normalisation stood that alone reads the sum: the input of the next block.

Preconditions: nothing else reads the convolution's result; the normalisation before it, if there
is one, is a factor and a summand for each channel.  Does not handle: shortcuts over several
operators, and int8 networks with LiteRT's rounding.

What looks like such a pair and is left alone gets a decision with the reason; an addition of other
tensors is none of this pass's business.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import tvm
from tvm import relax
from tvm.ir import Call, Op

from ..ir.attributes import NOTES, main_attribute, with_main_attribute
from ..ir.dataflow import Dataflow, DataflowRewriter, dtype_of, is_call
from ..ir.decisions import LEFT_ALONE
from ..ir.inline import inlined
from ..ir.straight_line import read_function
from ..operators import OperatorClass, attributes_of, operator_of, signature_of, spec_of
from .channel_sums import NotLinear
from .reading_refusals import Refusals
from .shortcut_reader import channel_vector
from .virtual_shortcut import Pair, fused

NAME = "FuseShortcuts"
_SHORTCUT_OPERATORS = ("dero.multiply", "dero.pool2d", "dero.pad", "dero.slice", "dero.concat")
_KEPT = " kept in float: "
_WEIGHTED = ("dero.conv2d", "dero.conv2d_transpose", "dero.dense", "relax.matmul")
_LOOKED_THROUGH = ("dero.quantize", "dero.dequantize", "dero.lookup")


@tvm.transform.module_pass(opt_level=0, name=NAME)
class FuseShortcuts:
    """The pass; see the module's docstring."""

    def transform_module(
        self, module: tvm.IRModule, _context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        """Return `module` with its shortcuts fused, and the decisions recorded."""
        return _without_stale_notes(_Rewriter(module).run())


class _Rewriter(DataflowRewriter):
    def __init__(self, module: tvm.IRModule) -> None:
        super().__init__(module)
        self._replaced: dict[relax.Var, Call] = {}
        branches, refusals = _Branches(self.old), Refusals()
        for var, expr in self.old.bindings:
            if not is_call(expr, "dero.add"):
                continue
            pair, call, reason = _examine(self.old, var, expr, branches, refusals)
            if pair is not None and call is not None:
                self._replaced[pair.result] = call
                self.decide(NAME, pair.result, "fused", reason)
            elif reason:
                self.decide(NAME, var, LEFT_ALONE, reason)

    def rewrite(self, var: relax.Var, expr: relax.Expr) -> relax.Expr | None:
        call = self._replaced.get(var)
        if call is None:
            return None
        return Call(call.op, [self.new(arg) for arg in call.args], call.attrs)


def _examine(
    old: Dataflow, join: relax.Var, call: Any, branches: _Branches, refusals: Refusals
) -> tuple[Pair | None, Call | None, str]:
    """What is fused and the operator, or None with the reason ("" if there is no pair)."""
    reason = ""
    for main, shortcut in (call.args, reversed(list(call.args))):
        if not isinstance(main, relax.Var) or not isinstance(shortcut, relax.Var):
            return None, None, ""
        pair = _pair(old, join, main, shortcut)
        if pair is None:
            continue
        for each in dict.fromkeys((_with_norm_behind(old, pair), pair)):
            try:
                return each, fused(old, each, refusals), "computed in the loops of the convolution"
            except NotLinear as refusal:
                if branches.look_like_shortcut(shortcut, pair.inputs):
                    reason = reason or f"the shortcut {refusal}"
    if not reason:
        reason = _without_convolution(old, call, branches)
    return None, None, reason


def _pair(old: Dataflow, join: relax.Var, main: relax.Var, shortcut: relax.Var) -> Pair | None:
    """`main` as a convolution, with its activation and its normalisation; None if it is none."""
    activation = None
    expr = old.definition(main)
    conv = main
    if is_call(expr, "dero.unary", "dero.lookup") and isinstance(expr.args[0], relax.Var):
        activation, conv = main, expr.args[0]
        expr = old.definition(conv)
    if not is_call(expr, "dero.conv2d") or not isinstance(expr.args[0], relax.Var):
        return None
    inputs = [expr.args[0], *_before_normalisation(old, expr.args[0])]
    return Pair(join, shortcut, conv, activation, tuple(inputs), join)


def _with_norm_behind(old: Dataflow, pair: Pair) -> Pair:
    """`pair` with the normalisation that alone reads its int8 sum, if there is one.

    Reorganized networks normalise the input of a block, which is the sum of the block before.
    """
    var = pair.join
    while dtype_of(pair.join) == "int8" and (found := old.sole_reader(var)) is not None:
        var, call = found
        if is_call(call, "dero.quantize") and dtype_of(var) == "int8":
            return replace(pair, result=var)
        if not is_call(call, "dero.dequantize") and _scaled(old, call) is None:
            break
    return pair


def _before_normalisation(old: Dataflow, data: relax.Var) -> Iterator[relax.Var]:
    """The tensors from which `data` is made by factors, summands and roundings alone."""
    while True:
        call = old.definition(data)
        above = call.args[0] if is_call(call, *_LOOKED_THROUGH) else _scaled(old, call)
        if not isinstance(above, relax.Var):
            return
        yield (data := above)


def _scaled(old: Dataflow, call: Any) -> relax.Expr | None:
    """The operand to which `call` gives a factor or a summand for each channel, and no more."""
    if not is_call(call, "dero.multiply", "dero.add", "dero.subtract", "dero.divide"):
        return None
    vectors = [channel_vector(old, arg, call) for arg in call.args]
    variable = [arg for arg, vector in zip(call.args, vectors) if vector is None]
    attrs = attributes_of(call)
    if len(variable) != 1 or (attrs["minimum"], attrs["maximum"]) != (None, None):
        return None
    return variable[0]


class _Branches:
    """What the tensors of a module are made of by operators of shortcuts, each looked at once."""

    def __init__(self, old: Dataflow) -> None:
        self._bit = {var: 1 << number for number, var in enumerate(old.params)}
        self._above = dict(self._bit)  # the tensors that each one is made of, itself included
        self._marked: set[relax.Var] = set()  # made by one of the operators that mark a shortcut
        for var, call in old.bindings:
            above = self._bit[var] = 1 << len(self._bit)
            if is_call(call, *_SHORTCUT_OPERATORS) and not _is_maximum(call):
                self._marked.add(var)
            marks = is_call(call, *_SHORTCUT_OPERATORS, *_LOOKED_THROUGH, "dero.add")
            marks = marks or _is_norm(old, call)
            if marks or not _is_layer(old, call):
                for arg in _tensors_of(call):
                    above |= self._above[arg]
                    if marks and arg in self._marked:
                        self._marked.add(var)
            self._above[var] = above

    def look_like_shortcut(self, branch: relax.Var, inputs: tuple[relax.Var, ...]) -> bool:
        """True for what is pooled, padded, folded or scaled, or made of `inputs` without layers."""
        return branch in self._marked or any(self._above[branch] & self._bit[i] for i in inputs)


def _without_convolution(old: Dataflow, call: Any, branches: _Branches) -> str:
    """Why an addition of a shortcut to something else than a convolution's result stays."""
    for branch, other in (call.args, reversed(list(call.args))):
        producer = old.definition(other)
        operator = operator_of(producer)
        if operator is None or not is_call(producer, "dero.pool2d", "dero.reduce"):
            continue
        if branches.look_like_shortcut(branch, ()) and not is_call(
            old.definition(branch), "dero.pool2d", "dero.reduce"
        ):
            kind = signature_of(producer)
            assert operator.operator_class(kind) in (OperatorClass.POOLING, OperatorClass.REDUCTION)
            return (
                f"the shortcut is added behind a {operator.operator_class(kind).value}: it spans "
                "more than a convolution"
            )
    return ""


def _without_stale_notes(module: tvm.IRModule) -> tvm.IRModule:
    """`module` without the notes on operators kept in float that are fused now."""
    notes = [str(note) for note in main_attribute(module, NOTES, ())]
    left = set()
    # A cascade's operators are in a function of its own.
    for _, call in read_function(inlined(module)).bindings:
        # One with several results has a tuple's type, and no note.
        operator = isinstance(call, Call) and isinstance(call.op, Op)
        if operator and isinstance(call.ty, relax.TensorType) and dtype_of(call) == "float32":
            name = call.op.name.rsplit(".", 1)[-1]
            left |= {name, f"avg_{name}"}
    kept = [note for note in notes if _KEPT not in note or note.split(_KEPT)[0] in left]
    if kept == notes:
        return module
    return with_main_attribute(module, NOTES, kept or None)


def _is_maximum(call: Any) -> bool:
    return is_call(call, "dero.pool2d") and attributes_of(call)["kind"] == "max"


def _tensors_of(call: Any) -> Iterator[relax.Var]:
    operands = call.args if isinstance(call, Call) else []
    for operand in operands:
        members = operand.fields if isinstance(operand, relax.Tuple) else [operand]
        yield from (member for member in members if isinstance(member, relax.Var))


def _is_layer(old: Dataflow, call: Any) -> bool:
    """Whether an operator has weights that do more than to give each channel to one other."""
    if not is_call(call, *_WEIGHTED):
        return False
    constant = old.constant(call.args[1])
    if constant is None:
        return True
    weight = constant.values
    filters = weight.reshape(len(weight), -1, weight.shape[-1])
    if weight.ndim > 2 and weight.shape[-1] == 1:  # depthwise: each filter has a channel
        return bool((filters != filters.max(1, keepdims=True)).any())
    return bool(((filters != 0).any(1).sum(0) > 1).any())


def _is_norm(old: Dataflow, call: Any) -> bool:
    """A depthwise convolution with one number a channel: a norm or sum, as quantizers write it."""
    if not is_call(call, "dero.conv2d") or spec_of(call.args[1].ty).channels != 1:
        return False
    weight = old.constant(call.args[1])
    return weight is not None and bool((weight.values == weight.values[:, :1, :1]).all())
