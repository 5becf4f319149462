"""A function as a straight line of bindings: the form in which the passes read and rewrite it.

Relax spells one computation in several ways: tuples bound to names, names bound to names, one or
several dataflow blocks.  A :class:`StraightLine` is what remains when the spelling is taken away:
parameters, one binding for each operation, and the result.  Writing it back gives a function with
one dataflow block.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import tvm
import tvm_ffi
from tvm import relax
from tvm.ir import Call, GenericConst, GlobalVar

VARIABLES = frozenset({relax.Var, relax.DataflowVar})
"""The types of variables.  TVM's classes are abstract base classes, of which ``isinstance`` takes
microseconds where the type is not the class itself; passes ask millions of times."""


@dataclass(frozen=True)
class StraightLine:
    """Parameters, bindings in written order, and the result (a name, or a tuple of names)."""

    parameters: tuple[relax.Var, ...]
    bindings: tuple[tuple[relax.Var, relax.Expr], ...]
    result: relax.Expr

    @property
    def results(self) -> tuple[relax.Expr, ...]:
        """The leaves of the result, in order: variables and constants."""
        return tuple(leaves(self.result))


def leaves(expr: relax.Expr) -> Iterator[relax.Expr]:
    """The parts of a nest of tuples from left to right; `expr` itself if it is no tuple."""
    if type(expr) is relax.Tuple:
        for field in expr.fields[:]:
            yield from leaves(field)
    else:
        yield expr


def read_function(mod: tvm.IRModule, name: str | GlobalVar = "main") -> StraightLine:
    """The straight line of a function of `mod`.

    Raises ``ValueError`` if there is no such Relax function, if its control flow branches, or if
    it matches shapes that are known only at run time.
    """
    known = [v.name_hint for v in mod.get_global_vars()]
    if isinstance(name, str) and name not in known:
        others = f"it has {', '.join(known)}" if known else "it is empty"
        raise ValueError(f"the module has no function {name!r}: {others}")
    function = mod[name]
    if not isinstance(function, relax.Function):
        raise ValueError(f"the function {name!r} is not a Relax function")
    meaning: dict[relax.Var, relax.Expr] = {}
    bindings: list[tuple[relax.Var, relax.Expr]] = []
    body = function.body
    for block in body.blocks[:] if isinstance(body, relax.SeqExpr) else ():
        for binding in block.bindings[:]:
            value = substitute(binding.value, meaning)
            if not _says_nothing_new(binding):
                raise _no_straight_line(name, binding.var)
            if isinstance(value, (relax.Var, GenericConst, relax.Tuple, relax.ShapeExpr)):
                meaning[binding.var] = value
            elif isinstance(value, (Call, relax.TupleGetItem)):
                bindings.append((binding.var, value))
            else:
                raise _no_straight_line(name, binding.var)
    result = body.body if isinstance(body, relax.SeqExpr) else body
    return StraightLine(tuple(function.params), tuple(bindings), substitute(result, meaning))


def _says_nothing_new(binding: relax.Binding) -> bool:
    """True unless it matches a value with a type that the value is not known to have."""
    return isinstance(binding, relax.VarBinding) or (
        isinstance(binding, relax.MatchCast)
        and tvm_ffi.structural_equal(binding.var.ty, binding.value.ty)
    )


def _no_straight_line(name: str | GlobalVar, var: relax.Var) -> ValueError:
    function = name if isinstance(name, str) else name.name_hint
    return ValueError(
        f"`{function}` binds {var.name} by control flow or a match, which has no place on a "
        "microcontroller graph: export the model without branches, loops and symbolic sizes"
    )


def write_function(
    mod: tvm.IRModule, line: StraightLine, name: str | GlobalVar = "main"
) -> tvm.IRModule:
    """A copy of `mod` whose function `name` computes `line` in one dataflow block.

    The function's attributes stay.  Every binding gets a new variable of the old one's name.
    """
    old = mod[name]
    new = build_function(line, old.attrs)
    copy = mod.clone()
    copy[name] = new
    return relax.transform.Normalize()(copy)


def build_function(line: StraightLine, attrs: tvm.ir.Attrs | None) -> relax.Function:
    """A Relax function with new variables, each of the type of the value that it names."""
    renamed: dict[relax.Var, relax.Expr] = {}
    bindings = []
    for var, value in line.bindings:
        value = substitute(value, renamed)
        kind = relax.Var if line.result.same_as(var) else relax.DataflowVar
        new = kind(var.name, value.ty, var.span)
        renamed[var] = new
        bindings.append(relax.VarBinding(new, value))
    result = substitute(line.result, renamed)
    if isinstance(result, relax.Tuple):
        result = relax.BlockBuilder().normalize(result)
        whole = relax.Var("result", result.ty)
        bindings.append(relax.VarBinding(whole, result))
        result = whole
    blocks = [relax.DataflowBlock(bindings)] if bindings else []
    return relax.Function(
        list(line.parameters), relax.SeqExpr(blocks, result), result.ty, True, attrs
    )


def substitute(expr: relax.Expr, meaning: Mapping[relax.Var, relax.Expr]) -> relax.Expr:
    """`expr` with variables replaced; ``(a, b)[1]`` becomes ``b``."""
    if not meaning and not isinstance(expr, relax.TupleGetItem):
        return expr
    if isinstance(expr, relax.Var):
        return meaning.get(expr, expr)
    if isinstance(expr, relax.Tuple):
        before = expr.fields[:]
        fields = [substitute(field, meaning) for field in before]
        if all(new.same_as(old) for new, old in zip(fields, before)):
            return expr
        return relax.BlockBuilder().normalize(relax.Tuple(fields))
    if isinstance(expr, relax.TupleGetItem):
        source = substitute(expr.tuple_value, meaning)
        if isinstance(source, relax.Tuple):
            return source.fields[expr.index]
        if source.same_as(expr.tuple_value):
            return expr
        return relax.BlockBuilder().normalize(relax.TupleGetItem(source, expr.index))
    if isinstance(expr, Call):
        before = expr.args[:]
        args = [substitute(arg, meaning) for arg in before]
        if all(new is old or new.same_as(old) for new, old in zip(args, before)):
            return expr
        return Call(expr.op, args, expr.attrs, expr.ty_args, ret_ty=expr.ty)
    return expr


def without_dead_bindings(line: StraightLine) -> StraightLine:
    """`line` without the bindings that its result does not depend on."""
    needed = needed_variables(line.bindings, line.result)
    kept = tuple(binding for binding in line.bindings if binding[0] in needed)
    return StraightLine(line.parameters, kept, line.result)


def needed_variables(
    bindings: Sequence[tuple[relax.Var, relax.Expr]], result: relax.Expr
) -> set[relax.Var]:
    """The variables that `result` depends on."""
    needed = set(variables(result))
    for var, value in reversed(bindings):
        if var in needed:
            needed.update(variables(value))
    return needed


def operands_of(value: relax.Expr) -> list[relax.Expr]:
    """What a bound expression (or a result) reads, in order of appearance, tuples taken apart."""
    parts: list[relax.Expr] = [value]
    if isinstance(value, Call):
        parts = value.args[:]
    elif isinstance(value, relax.TupleGetItem):
        parts = [value.tuple_value]
    found: list[relax.Expr] = []
    for part in parts:
        if type(part) is relax.Tuple:
            found += leaves(part)
        else:
            found.append(part)
    return found


def variables(value: relax.Expr) -> list[relax.Var]:
    """The variables among the operands of a bound expression (or of a result)."""
    return [operand for operand in operands_of(value) if type(operand) in VARIABLES]


def unique_names(mod: tvm.IRModule) -> tvm.IRModule:
    """`mod` with every parameter and binding of ``main`` under a name of its own.

    Findings name tensors by their variables, so the names have to tell them apart.  The first
    bearer of a name keeps it; the others get a number.  A module that has nothing to change is
    returned as it is.
    """
    line = read_function(mod)
    variables = [*line.parameters, *(var for var, _ in line.bindings)]
    taken = {var.name for var in variables}
    if len(taken) == len(variables):
        return mod
    seen: set[str] = set()
    meaning: dict[relax.Var, relax.Expr] = {}
    for var in variables:
        name, number = var.name, 0
        while name in seen or (number and name in taken):
            number += 1
            name = f"{var.name}_{number}"
        seen.add(name)
        meaning[var] = var if name == var.name else relax.Var(name, var.ty, var.span)
    renamed = StraightLine(
        tuple(meaning[var] for var in line.parameters),
        tuple((meaning[var], substitute(value, meaning)) for var, value in line.bindings),
        substitute(line.result, meaning),
    )
    return write_function(mod, renamed)
