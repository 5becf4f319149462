"""Outlining: a connected piece of ``main`` becomes a private function of its own.

The function is a unit of execution: what later stages run row by row.  Its attributes say how.
Constants stay with the operators that use them; every other tensor that the piece reads is a
parameter.  `inline.inlined` undoes it, as ``relax.transform.InlinePrivateFunctions`` does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import networkx as nx
import tvm
from tvm import relax
from tvm.ir import Call, GlobalVar
from tvm.relax.expr import _update_type

from .straight_line import (
    StraightLine,
    build_function,
    read_function,
    substitute,
    variables,
    write_function,
)


def outline(
    mod: tvm.IRModule, members: Iterable[str], name: str, attrs: Mapping[str, Any]
) -> tvm.IRModule:
    """`mod` with the bindings `members` of ``main`` moved into a private function.

    The call stands where the last member stood; bindings that need its results and stood before
    it move behind it.  One result is returned as it is, several as a tuple.  Parameters are in
    the order of `parameters_of`.  `name` gets a number if the module already has such a function.

    Raises ``ValueError`` if a member is no binding of ``main``, if the members are not connected,
    or if a path leaves them and comes back, so that no order runs them as one unit.
    """
    return outline_all(mod, [Piece(tuple(members), name, attrs)])


@dataclass(frozen=True)
class Piece:
    """What `outline` is told: bindings, the function's name, and its attributes."""

    members: tuple[str, ...]
    name: str
    attrs: Mapping[str, Any]


def outline_all(mod: tvm.IRModule, pieces: Iterable[Piece]) -> tvm.IRModule:
    """`mod` with one piece after the other outlined, as by `outline`; ``main`` is written once."""
    line = read_function(mod)
    copy = mod.clone()
    for piece in pieces:
        line = _outlined(copy, line, piece)
    return write_function(copy, line)


def _outlined(mod: tvm.IRModule, line: StraightLine, piece: Piece) -> StraightLine:
    """`line` with a piece replaced by the call of a function that is added to `mod`."""
    chosen = set(piece.members)
    graph = _dependencies(line)
    _check(graph, chosen)
    inside = [(var, value) for var, value in line.bindings if var.name in chosen]
    returned = {leaf.name for leaf in line.results if isinstance(leaf, relax.Var)}
    results = [
        var
        for var, _ in inside
        if var.name in returned or not chosen.issuperset(graph.successors(var.name))
    ]
    if not results:
        raise ValueError(f"nothing reads the results of {', '.join(sorted(chosen))}")
    outer = _outer_variables(inside)
    parameters = [relax.Var(var.name, var.ty) for var in outer]
    renamed = dict(zip(outer, parameters))
    body = StraightLine(
        tuple(parameters),
        tuple((var, substitute(value, renamed)) for var, value in inside),
        results[0] if len(results) == 1 else relax.Tuple(results),
    )
    function = build_function(body, tvm.ir.make_node("ir.DictAttrs", **piece.attrs))
    reference = GlobalVar(_free_name(mod, piece.name))
    _update_type(reference, function.ty)
    mod[reference] = function
    call = Call(reference, list(outer), ret_ty=function.ret_ty)
    return _replace(line, graph, chosen, results, call)


def parameters_of(mod: tvm.IRModule, members: Iterable[str]) -> tuple[str, ...]:
    """The tensors that `outline` would pass to the function, in the order of first use."""
    chosen = set(members)
    inside = [binding for binding in read_function(mod).bindings if binding[0].name in chosen]
    return tuple(var.name for var in _outer_variables(inside))


def _outer_variables(inside: Sequence[tuple[relax.Var, relax.Expr]]) -> list[relax.Var]:
    """What bindings read and none of them makes."""
    made = {var for var, _ in inside}
    return list(dict.fromkeys(leaf for _, v in inside for leaf in variables(v) if leaf not in made))


def _check(graph: nx.DiGraph, chosen: set[str]) -> None:
    unknown = sorted(chosen - set(graph))
    if unknown or not chosen:
        raise ValueError(f"main has no bindings {unknown} to outline")
    if not nx.is_weakly_connected(graph.subgraph(chosen)):
        raise ValueError(f"the bindings {sorted(chosen)} are not connected")
    below = set().union(*(nx.descendants(graph, n) for n in chosen)) - chosen
    above = set().union(*(nx.ancestors(graph, n) for n in chosen)) - chosen
    if between := sorted(below & above):
        raise ValueError(
            f"the bindings {sorted(chosen)} cannot run as one unit: {between[0]} needs some of "
            "them and is needed by others"
        )


def _replace(
    line: StraightLine,
    graph: nx.DiGraph,
    chosen: set[str],
    results: list[relax.Var],
    call: Call,
) -> StraightLine:
    """`line` with the chosen bindings replaced by the call, in an order that still computes."""
    if len(results) == 1:
        unit: list[tuple[relax.Var, relax.Expr]] = [(results[0], call)]
    else:
        whole = relax.Var(f"{results[-1].name}_cascade", call.ty)
        builder = relax.BlockBuilder()
        items = [builder.normalize(relax.TupleGetItem(whole, i)) for i in range(len(results))]
        unit = [(whole, call), *zip(results, items)]
    below = set().union(*(nx.descendants(graph, n) for n in chosen)) - chosen
    last = max(i for i, (var, _) in enumerate(line.bindings) if var.name in chosen)
    others = [(var, value) for var, value in line.bindings[: last + 1] if var.name not in chosen]
    before = [(var, value) for var, value in others if var.name not in below]
    delayed = [(var, value) for var, value in others if var.name in below]
    bindings = (*before, *unit, *delayed, *line.bindings[last + 1 :])
    return StraightLine(line.parameters, bindings, line.result)


def _dependencies(line: StraightLine) -> nx.DiGraph:
    """Names of bindings, with an edge to each binding that reads them."""
    graph = nx.DiGraph()
    graph.add_nodes_from(var.name for var, _ in line.bindings)
    for var, value in line.bindings:
        graph.add_edges_from(
            (leaf.name, var.name) for leaf in variables(value) if leaf.name in graph
        )
    return graph


def _free_name(mod: tvm.IRModule, wanted: str) -> str:
    taken = {var.name_hint for var in mod.get_global_vars()}
    name, number = wanted, 0
    while name in taken:
        number += 1
        name = f"{wanted}_{number}"
    return name
