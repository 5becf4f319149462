"""Names for the values that TVM's C generator would recognise by their text.

The generator stores an operand of ``min`` and ``max`` in a variable, and takes the same variable
wherever it meets the same text again in that scope or one within it.  After a store, a load of
the same text is another value:

    float _1 = acc[0];              acc[0] = max(acc[0], x)
    float _2 = x;
    acc[0] = _1 > _2 ? _1 : _2;
    ... _1 > 0 ? _1 : 0             max(acc[0], 0), of the accumulator before the store

And it prints the extent of a loop into the loop's condition, which C evaluates before every
iteration and TIR once.

So an operand that reads memory or calls a function gets a name of its own just where the generator
would have given it one.  A name is text that the generator leaves alone, and variables of TIR keep
their value: what is still recognised by its text is the same value.
"""

from __future__ import annotations

from typing import Any

import tvm_ffi
from tvm import tirx
from tvm.ir import Call, Op, PointerType, TensorLoad

_HINT = "v_"  # of the generator's own names, which it numbers
_PURE = 1  # TVM's call effects up to this one: the result depends on the arguments alone
_EFFECT = "TCallEffectKind"
_REINTERPRET = Op.get("tirx.reinterpret")


def name_values(function: tirx.PrimFunc) -> tirx.PrimFunc:
    """`function`, lowered as far as the C generator takes it, with names for such values."""
    rules = [((tirx.Min, tirx.Max), _extremum), (Call, _reinterpretation), (tirx.For, _loop)]
    return function.with_body(tvm_ffi.structural_map(function.body, rules))


def _extremum(node: tirx.Min | tirx.Max) -> tirx.Expr:
    operands = [node.a, node.b]
    if not any(_changes(operand) for operand in operands):
        return node
    names = [operand if _is_text(operand) else _name(operand) for operand in operands]
    result = type(node)(*names)
    for name, operand in zip(reversed(names), reversed(operands)):
        if name is not operand:
            result = tirx.Let(name, operand, result)
    return result


def _reinterpretation(call: Call) -> tirx.Expr:
    """A number's bits as those of another type: the generator takes the address of a variable."""
    if not call.op.same_as(_REINTERPRET) or _is_pointer(call) or _is_pointer(call.args[0]):
        return call
    (operand,) = call.args
    if not _changes(operand):
        return call
    name = _name(operand)
    return tirx.Let(name, operand, tirx.reinterpret(call.ty, name))


def _loop(loop: tirx.For) -> tirx.Stmt:
    """Bounds that read memory are evaluated once, before the loop."""
    bounds = {"min": loop.min, "extent": loop.extent, "step": loop.step}
    names = {bound: _name(value) for bound, value in bounds.items() if _changes(value)}
    if not names:
        return loop
    bound = {**bounds, **names}
    loop = tirx.For(
        loop.loop_var,
        bound["min"],
        bound["extent"],
        loop.kind,
        loop.body,
        loop.thread_binding,
        loop.annotations,
        bound["step"],
    )
    return tirx.SeqStmt([*(tirx.Bind(name, bounds[b]) for b, name in names.items()), loop])


def _name(value: tirx.Expr) -> tirx.Var:
    return tirx.Var(_HINT, value.ty)


def _is_text(value: tirx.Expr) -> bool:
    """Whether the generator gives `value` no name."""
    return isinstance(value, tirx.Var) or (
        isinstance(value, tirx.IntImm) and str(value.ty) in ("int32", "uint32")
    )


def _is_pointer(value: Any) -> bool:
    return isinstance(value.ty, PointerType)


def _changes(value: Any) -> bool:
    """Whether the same text may have another value elsewhere."""
    return tvm_ffi.structural_walk(value, [(TensorLoad, _stop), (Call, _stop_at)]) is not None


def _stop(_: TensorLoad) -> tvm_ffi.VisitInterrupt:
    return tvm_ffi.VisitInterrupt()


def _stop_at(call: Call) -> tvm_ffi.VisitInterrupt | None:
    effect = call.op.get_attr(_EFFECT) if isinstance(call.op, Op) else None
    pure = effect is not None and int(effect) <= _PURE
    return None if pure and not any(map(_is_pointer, call.args)) else tvm_ffi.VisitInterrupt()
