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
    outliner = Outliner(mod)
    for piece in pieces:
        outliner.outline(piece)
    return outliner.written()


def parameters_of(mod: tvm.IRModule, members: Iterable[str]) -> tuple[str, ...]:
    """The tensors that `outline` would pass to the function, in the order of first use."""
    return Outliner(mod).parameters_of(members)


@dataclass(frozen=True)
class _Binding:
    """A binding of ``main`` with the names of its variable and of those that it reads."""

    name: str
    var: relax.Var
    value: relax.Expr
    reads: tuple[str, ...]

    @staticmethod
    def of(var: relax.Var, value: relax.Expr) -> _Binding:
        return _Binding(var.name, var, value, tuple(leaf.name for leaf in variables(value)))


class Outliner:
    """Outlines piece after piece of one module; what a piece does not touch is read once.

    Between the first and the last member of a piece lie all bindings that its outlining moves or
    that could forbid it, since bindings stand behind what they read.
    """

    def __init__(self, mod: tvm.IRModule) -> None:
        line = read_function(mod)
        self.mod = mod.clone()  # with the functions made so far, and the ``main`` of before
        self.has_outlined = False
        self._functions = {var.name_hint for var in mod.get_global_vars()}
        self._parameters, self._result = line.parameters, line.result
        self._returned = {leaf.name for leaf in line.results if isinstance(leaf, relax.Var)}
        self._bindings = [_Binding.of(var, value) for var, value in line.bindings]
        self._position = {binding.name: i for i, binding in enumerate(self._bindings)}
        self._readers: dict[str, set[str]] = {}
        for binding in self._bindings:
            self._read(binding)

    @property
    def line(self) -> StraightLine:
        """What has become of ``main``."""
        bindings = tuple((binding.var, binding.value) for binding in self._bindings)
        return StraightLine(self._parameters, bindings, self._result)

    def written(self) -> tvm.IRModule:
        """The module with all that was outlined."""
        return write_function(self.mod, self.line)

    def parameters_of(self, members: Iterable[str]) -> tuple[str, ...]:
        """See the function of this name."""
        return tuple(var.name for var in _outer_variables(self._inside(set(members))))

    def outline(self, piece: Piece) -> None:
        """Move a piece into a function of its own; see the function of this name."""
        chosen = set(piece.members)
        inside = self._inside(chosen)
        self._check_known(chosen, inside)
        first, last = (self._position[inside[i].name] for i in (0, -1))
        window = self._bindings[first : last + 1]
        below = _below(window, chosen)
        self._check(window, chosen, below)
        results = [b.var for b in inside if self._is_read_outside(b.name, chosen)]
        if not results:
            raise ValueError(f"nothing reads the results of {', '.join(sorted(chosen))}")
        call = self._call(piece, inside, results)
        self.has_outlined = True
        unit = [_Binding.of(var, value) for var, value in _unit(results, call)]
        others = [binding for binding in window if binding.name not in chosen]
        before = [binding for binding in others if binding.name not in below]
        delayed = [binding for binding in others if binding.name in below]
        for binding in inside:
            for name in binding.reads:
                self._readers[name].discard(binding.name)
            del self._position[binding.name]
        self._bindings[first : last + 1] = [*before, *unit, *delayed]
        for index in range(first, len(self._bindings)):
            self._position[self._bindings[index].name] = index
        for binding in unit:
            self._read(binding)

    def _read(self, binding: _Binding) -> None:
        for name in binding.reads:
            self._readers.setdefault(name, set()).add(binding.name)

    def _inside(self, chosen: set[str]) -> list[_Binding]:
        """The bindings of these names, in written order."""
        positions = sorted(self._position[name] for name in chosen if name in self._position)
        return [self._bindings[position] for position in positions]

    def _is_read_outside(self, name: str, chosen: set[str]) -> bool:
        return name in self._returned or not chosen.issuperset(self._readers.get(name, ()))

    def _call(self, piece: Piece, inside: list[_Binding], results: list[relax.Var]) -> Call:
        """The call of a function that is added to the module."""
        outer = _outer_variables(inside)
        parameters = [relax.Var(var.name, var.ty) for var in outer]
        renamed = dict(zip(outer, parameters))
        body = StraightLine(
            tuple(parameters),
            tuple((binding.var, substitute(binding.value, renamed)) for binding in inside),
            results[0] if len(results) == 1 else relax.Tuple(results),
        )
        function = build_function(body, tvm.ir.make_node("ir.DictAttrs", **piece.attrs))
        reference = GlobalVar(self._free_name(piece.name))
        _update_type(reference, function.ty)
        self.mod[reference] = function
        return Call(reference, list(outer), ret_ty=function.ret_ty)

    def _free_name(self, wanted: str) -> str:
        name, number = wanted, 0
        while name in self._functions:
            number += 1
            name = f"{wanted}_{number}"
        self._functions.add(name)
        return name

    def _check_known(self, chosen: set[str], inside: list[_Binding]) -> None:
        unknown = sorted(chosen - set(self._position))
        if unknown or not chosen:
            raise ValueError(f"main has no bindings {unknown} to outline")
        graph = nx.Graph()
        graph.add_nodes_from(chosen)
        graph.add_edges_from((n, b.name) for b in inside for n in b.reads if n in chosen)
        if not nx.is_connected(graph):
            raise ValueError(f"the bindings {sorted(chosen)} are not connected")

    def _check(self, window: list[_Binding], chosen: set[str], below: set[str]) -> None:
        above: set[str] = set()
        for binding in reversed(window):
            if binding.name in chosen or binding.name in above:
                above.update(binding.reads)
        if between := sorted(below & above - chosen):
            raise ValueError(
                f"the bindings {sorted(chosen)} cannot run as one unit: {between[0]} needs some "
                "of them and is needed by others"
            )


def _below(window: list[_Binding], chosen: set[str]) -> set[str]:
    """The bindings of a window that depend on chosen ones and are none."""
    below: set[str] = set()
    for binding in window:
        depends = any(name in chosen or name in below for name in binding.reads)
        if depends and binding.name not in chosen:
            below.add(binding.name)
    return below


def _outer_variables(inside: Sequence[_Binding]) -> list[relax.Var]:
    """What bindings read and none of them makes."""
    made = {binding.name for binding in inside}
    read = (leaf for binding in inside for leaf in variables(binding.value))
    return list(dict.fromkeys(leaf for leaf in read if leaf.name not in made))


def _unit(results: list[relax.Var], call: Call) -> list[tuple[relax.Var, relax.Expr]]:
    """The call bound to its result, or to a tuple of which each result is a part."""
    if len(results) == 1:
        return [(results[0], call)]
    whole = relax.Var(f"{results[-1].name}_cascade", call.ty, results[-1].span)
    builder = relax.BlockBuilder()
    items = [builder.normalize(relax.TupleGetItem(whole, i)) for i in range(len(results))]
    return [(whole, call), *zip(results, items)]
