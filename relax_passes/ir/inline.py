"""Inlining: the opposite of `outline`, for private functions of whatever origin.

``relax.transform.InlinePrivateFunctions`` keeps the names of the inlined variables, which two
functions may share with each other and with ``main``, and lets the name that ``main`` gives the
result fall away.  Findings name tensors as ``main`` does, so here main's names stay, and variables
from inside get a number where their names are taken.
"""

from __future__ import annotations

from collections.abc import Iterator

import tvm
from tvm import relax
from tvm.ir import Call, GlobalVar

from .attributes import attribute
from .straight_line import StraightLine, read_function, substitute, unique_names, write_function


def inlined(mod: tvm.IRModule) -> tvm.IRModule:
    """`mod` with every private function in the place of its calls, and names that are unique."""
    mod = unique_names(mod)
    line = read_function(mod)
    called = [value.op for _, value in line.bindings if _is_private(mod, value)]
    if not called:
        return mod
    taken = {var.name for var in (*line.parameters, *(var for var, _ in line.bindings))}
    flat, gone = _flattened(mod, line, taken, frozenset())
    mod = write_function(mod, flat)
    others = [
        f for g, f in mod.functions_items() if g not in gone and isinstance(f, relax.Function)
    ]
    needed = {reference for other in others for reference in relax.analysis.all_global_vars(other)}
    for reference in gone - needed:
        del mod[reference]
    return mod


def _flattened(
    mod: tvm.IRModule, line: StraightLine, taken: set[str], within: frozenset[GlobalVar]
) -> tuple[StraightLine, set[GlobalVar]]:
    """`line` without calls of private functions, and the functions that it called.

    `taken` is the names in use; `within` the functions that `line` is part of, which are left to
    call themselves.
    """
    meaning: dict[relax.Var, relax.Expr] = {}
    bindings: list[tuple[relax.Var, relax.Expr]] = []
    gone: set[GlobalVar] = set()
    items = {
        (value.tuple_value, value.index): var
        for var, value in line.bindings
        if isinstance(value, relax.TupleGetItem)
    }
    for var, value in line.bindings:
        value = substitute(value, meaning)
        if isinstance(value, (relax.Var, tvm.ir.GenericConst)):  # a result of an inlined call
            meaning[var] = value
            continue
        if not _is_private(mod, value) or value.op in within:
            bindings.append((var, value))
            continue
        body = read_function(mod, value.op)
        names: dict[relax.Var, str] = {}
        for index, result in enumerate(body.results):
            outer = items.get((var, index)) if isinstance(body.result, relax.Tuple) else var
            if outer is not None and isinstance(result, relax.Var):
                names.setdefault(result, outer.name)
        body = _with_names(body, value.args[:], names, taken)
        body, more = _flattened(mod, body, taken, within | {value.op})
        bindings += body.bindings
        gone |= {value.op, *more}
        meaning[var] = body.result
    return StraightLine(line.parameters, tuple(bindings), substitute(line.result, meaning)), gone


def _with_names(
    body: StraightLine,
    arguments: list[relax.Expr],
    names: dict[relax.Var, str],
    taken: set[str],
) -> StraightLine:
    """`body` for these arguments, under the given `names` or under free ones."""
    meaning: dict[relax.Var, relax.Expr] = dict(zip(body.parameters, arguments))
    bindings = []
    for var, value in body.bindings:
        name = names.get(var) or next(n for n in _numbered(var.name) if n not in taken)
        taken.add(name)
        new = relax.Var(name, var.ty, var.span)
        bindings.append((new, substitute(value, meaning)))
        meaning[var] = new
    return StraightLine((), tuple(bindings), substitute(body.result, meaning))


def _numbered(name: str) -> Iterator[str]:
    yield name
    number = 0
    while True:
        number += 1
        yield f"{name}_{number}"


def _is_private(mod: tvm.IRModule, value: relax.Expr) -> bool:
    if not isinstance(value, Call) or not isinstance(value.op, GlobalVar):
        return False
    function = mod[value.op]
    return isinstance(function, relax.Function) and attribute(function, "global_symbol") is None
