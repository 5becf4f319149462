r"""IdentifyResiduals: joins, their forks, and which branch of each is the shortcut.

::

            fork                    A join is a concatenation, or an operator that works element
           /    \                   by element (addition, multiplication, ...), of at least two
    shortcut    main branch         different computed tensors.  Its fork is its nearest common
           \    /                   dominator: the last tensor through which every path from the
            join                    network's inputs to the join leads.

A join is a residual one if it has a shortcut:

* identity: an operand that is the fork itself (a reshape aside), or, of a concatenation, one from
  which another operand is computed (DenseNet, U-Net);
* projection: a branch without further forks that has at most one convolution, fewer than the
  main branch or a pointwise one against a wider one, and otherwise only pools, normalisations
  and operators on single elements.  Of a concatenation only a branch without a convolution beside
  one with at least two counts (ShuffleNet's pooled shortcut), and only if there are two operands:
  parallel branches as in Inception are not residuals.

A product of two tensors has a shortcut in the same sense (a gate goes around nothing that a plain
network could do without, but it keeps its operand alive all the same).

Does not rewrite anything: findings go to main's attribute ``dero.residuals``
(`residuals.read_residuals`), with the classes of producers and consumers if ``ClassifyOperators``
ran before.  Cascades are looked through, so the findings are the same before
and after ``AccumulateResiduals``.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from itertools import compress
from operator import or_

import networkx as nx
import tvm

from ..ir.operator_graph import OperatorGraph, operator_graph
from ..ir.straight_line import unique_names
from ..operators import OperatorClass
from .classify_operators import operator_classes, with_classes
from .image_norms import image_norms
from .residual import IDENTITY, MAIN, NONE, PARALLEL, PROJECTION, Branch, Residual, write_residuals

NAME = "IdentifyResiduals"
_CONVOLUTIONS = (OperatorClass.POINTWISE, OperatorClass.DEPTHWISE, OperatorClass.SPATIAL)
_MATCHING = (OperatorClass.ELEMENTWISE, OperatorClass.POOLING, OperatorClass.LAYOUT)
_SOURCE = ""  # a node above all network inputs, so that joins of two inputs have a dominator too


@tvm.transform.module_pass(opt_level=0, name=NAME)
class IdentifyResiduals:
    """The pass; see the module's docstring."""

    def transform_module(
        self, mod: tvm.IRModule, _context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        """Return `mod` with its joins described in main's attribute ``dero.residuals``."""
        mod = unique_names(mod)
        graph = operator_graph(mod, flatten=True)
        found = find_residuals(graph)
        if operator_classes(mod):
            found = [with_classes(graph, residual) for residual in found]
        return write_residuals(mod, found)


def find_residuals(graph: OperatorGraph) -> list[Residual]:
    """All joins of `graph` in written order, the ones without a shortcut included."""
    above = nx.DiGraph(graph.digraph.edges)
    above.add_nodes_from(graph)
    above.add_edges_from((_SOURCE, n) for n in graph if graph.digraph.in_degree(n) == 0)
    dominators = nx.immediate_dominators(above, _SOURCE)
    joins = [node for node in graph.operators_in_order() if graph[node].is_join]
    sets = _NodeSets(graph)
    return [_describe(graph, sets, join, dominators[join]) for join in joins]


class _NodeSets:
    """Sets of a graph's nodes as integers, a bit for each node in written order.

    A network of hundreds of joins has as many long branches; as bits, hundreds of nodes are one
    operation of the processor or a few.
    """

    def __init__(self, graph: OperatorGraph) -> None:
        self.names = sorted(graph, key=lambda n: graph[n].index)
        self._bit = {name: 1 << i for i, name in enumerate(self.names)}
        self.operands = {n: self.of(graph.digraph.predecessors(n)) for n in graph}
        self.above: dict[str, int] = {}  # what a node is computed from, itself included
        for name in self.names:
            self.above[name] = self._bit[name] | self._union(
                self.above, graph.digraph.predecessors(name)
            )
        self.below: dict[str, int] = {}  # what is computed from a node, itself included
        for name in reversed(self.names):
            self.below[name] = self._bit[name] | self._union(
                self.below, graph.digraph.successors(name)
            )
        # A network input below the common source is where a branch starts, not an operator on it.
        self.operators = self.of(n for n in self.names if graph[n].kind != "input")
        self.reshapes = self.of(n for n in self.names if graph[n].is_reshape)
        self.convolutions = self.of(n for n in self.names if _class(graph, n) in _CONVOLUTIONS)
        self.norms = self.of(member for norm in image_norms(graph) for member in norm.members)
        self.matching = self.of(n for n in self.names if _class(graph, n) in _MATCHING)

    def of(self, names: Iterable[str]) -> int:
        """The set of these nodes."""
        return reduce(or_, (self._bit[name] for name in names), 0)

    def members(self, chosen: int) -> tuple[str, ...]:
        """The nodes of a set, in written order."""
        return tuple(compress(self.names, map(int, reversed(f"{chosen:b}"))))

    def has(self, chosen: int, name: str) -> bool:
        """Whether a node is in a set."""
        return bool(chosen & self._bit[name])

    def strictly_above(self, name: str) -> int:
        """What a node is computed from."""
        return self.above[name] & ~self._bit[name]

    def between(self, fork: str, operand: str) -> int:
        """The operators below the fork from which `operand` is computed, itself included."""
        below = self.operators if fork == _SOURCE else self.below[fork] & ~self._bit[fork]
        return self.above[operand] & below & self.operators

    @staticmethod
    def _union(sets: dict[str, int], names: Iterable[str]) -> int:
        return reduce(or_, (sets[name] for name in names), 0)


def _describe(graph: OperatorGraph, sets: _NodeSets, join: str, fork: str) -> Residual:
    data = graph[join]
    operands = list(dict.fromkeys(data.computed_operands))
    paths = {operand: sets.between(fork, operand) for operand in operands}
    choose = _concat_shortcuts if data.is_concat_join else _elementwise_shortcuts
    kinds = choose(graph, sets, paths, fork)
    others = MAIN if kinds else PARALLEL
    branches = tuple(Branch(o, kinds.get(o, others), sets.members(paths[o])) for o in operands)
    around = reduce(or_, (paths[o] for o in operands if o not in kinds), 0)
    beside = reduce(or_, (paths[o] for o in kinds), 0)
    shortcut = NONE
    if kinds:
        shortcut = IDENTITY if IDENTITY in kinds.values() else PROJECTION
    return Residual(
        join=join,
        operator=data.operator,
        fork=fork,
        shortcut=shortcut,
        branches=branches,
        bytes=sum(graph[operand].bytes for operand in kinds),
        steps=(around & ~beside).bit_count() + 1 if kinds else 0,
    )


def _elementwise_shortcuts(
    graph: OperatorGraph, sets: _NodeSets, paths: dict[str, int], fork: str
) -> dict[str, str]:
    """The shortcut operand of a join of two tensors, and its kind."""
    if fork == _SOURCE:
        return {}
    for operand, path in paths.items():
        if not path & ~sets.reshapes:
            return {operand: IDENTITY}
    first, second = paths
    for operand, other in ((first, second), (second, first)):
        own, against = (paths[name] & sets.convolutions for name in (operand, other))
        narrower = (
            own.bit_count() == against.bit_count() == 1
            and _is_pointwise(graph, sets, own)
            and not _is_pointwise(graph, sets, against)
        )
        fewer = own.bit_count() < against.bit_count()
        if (fewer or narrower) and _is_projection(sets, paths[operand]):
            return {operand: PROJECTION}
    return {}


def _concat_shortcuts(
    _graph: OperatorGraph, sets: _NodeSets, paths: dict[str, int], fork: str
) -> dict[str, str]:
    """The shortcut operands of a concatenation, and their kinds."""
    computed_from = reduce(or_, (sets.strictly_above(o) for o in paths), 0)
    found = {o: IDENTITY for o in paths if sets.has(computed_from, o)}
    if found or fork == _SOURCE or len(paths) != 2:
        return found
    first, second = paths
    for operand, other in ((first, second), (second, first)):
        own, against = (paths[name] & sets.convolutions for name in (operand, other))
        if not own and against.bit_count() > 1 and _is_projection(sets, paths[operand]):
            return {operand: PROJECTION}
    return {}


def _is_projection(sets: _NodeSets, path: int) -> bool:
    """True for a chain of at most one convolution, pools, and operators on single elements.

    A normalisation is a link of it, however many operators compute it.
    """
    path &= ~sets.norms
    return (
        (path & sets.convolutions).bit_count() <= 1
        and not path & ~(sets.matching | sets.convolutions)
        and all((path & sets.operands[node]).bit_count() <= 1 for node in sets.members(path))
    )


def _is_pointwise(graph: OperatorGraph, sets: _NodeSets, one: int) -> bool:
    (node,) = sets.members(one)
    return _class(graph, node) is OperatorClass.POINTWISE


def _class(graph: OperatorGraph, node: str) -> OperatorClass | None:
    return graph[node].operator_class
