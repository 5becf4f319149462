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
  main branch or a pointwise one against a wider one, and otherwise only pools and operators
  on single elements.  Of a concatenation only a branch without a convolution beside one with at
  least two counts (ShuffleNet's pooled shortcut), and only if there are two operands: parallel
  branches as in Inception are not residuals.

A product of two tensors has a shortcut in the same sense (a gate goes around nothing that a plain
network could do without, but it keeps its operand alive all the same).

Does not rewrite anything: findings go to main's attribute ``dero.residuals``
(`residuals.read_residuals`), with the classes of producers and consumers if ``ClassifyOperators``
ran before.  Cascades are looked through, so the findings are the same before
and after ``AccumulateResiduals``.
"""

from __future__ import annotations

import networkx as nx
import tvm

from ..ir.operator_graph import OperatorGraph, operator_graph
from ..ir.straight_line import unique_names
from ..operators import OperatorClass
from .classify_operators import operator_classes, with_classes
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
    return [_describe(graph, above, join, dominators[join]) for join in joins]


def _describe(graph: OperatorGraph, above: nx.DiGraph, join: str, fork: str) -> Residual:
    data = graph[join]
    operands = list(dict.fromkeys(data.computed_operands))
    below_fork = nx.descendants(above, fork)
    paths = {
        operand: sorted(
            (nx.ancestors(above, operand) | {operand}) & below_fork,
            key=lambda n: graph[n].index,
        )
        for operand in operands
    }
    # A network input below the common source is where a branch starts, not an operator on it.
    paths = {k: [n for n in v if graph[n].kind != "input"] for k, v in paths.items()}
    choose = _concat_shortcuts if graph[join].is_concat_join else _elementwise_shortcuts
    kinds = choose(graph, paths, fork)
    others = MAIN if kinds else PARALLEL
    branches = tuple(Branch(o, kinds.get(o, others), tuple(paths[o])) for o in operands)
    around = {node for operand in paths if operand not in kinds for node in paths[operand]}
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
        steps=len(around.difference(*(paths[operand] for operand in kinds))) + 1 if kinds else 0,
    )


def _elementwise_shortcuts(
    graph: OperatorGraph, paths: dict[str, list[str]], fork: str
) -> dict[str, str]:
    """The shortcut operand of a join of two tensors, and its kind."""
    if fork == _SOURCE:
        return {}
    for operand, path in paths.items():
        if all(graph[node].is_reshape for node in path):
            return {operand: IDENTITY}
    first, second = paths
    candidates = []
    for operand, other in ((first, second), (second, first)):
        own, against = _convolutions(graph, paths[operand]), _convolutions(graph, paths[other])
        fewer = len(own) < len(against)
        narrower = (
            len(own) == len(against) == 1
            and _class(graph, own[0]) is OperatorClass.POINTWISE
            and _class(graph, against[0]) is not OperatorClass.POINTWISE
        )
        if (fewer or narrower) and _is_projection(graph, paths[operand], len(own)):
            candidates.append(operand)
    return {candidates[0]: PROJECTION} if candidates else {}


def _concat_shortcuts(
    graph: OperatorGraph, paths: dict[str, list[str]], fork: str
) -> dict[str, str]:
    """The shortcut operands of a concatenation, and their kinds."""
    computed_from = {o: nx.ancestors(graph.digraph, o) for o in paths}
    found = {o: IDENTITY for o in paths if any(o in above for above in computed_from.values())}
    if found or fork == _SOURCE or len(paths) != 2:
        return found
    first, second = paths
    for operand, other in ((first, second), (second, first)):
        own, against = _convolutions(graph, paths[operand]), _convolutions(graph, paths[other])
        if not own and len(against) > 1 and _is_projection(graph, paths[operand], 0):
            return {operand: PROJECTION}
    return {}


def _is_projection(graph: OperatorGraph, path: list[str], convolutions: int) -> bool:
    """True for a chain of at most one convolution, pools, and operators on single elements."""
    matching = [node for node in path if _class(graph, node) in _MATCHING]
    inside = set(path)
    return (
        convolutions <= 1
        and len(matching) + convolutions == len(path)
        and all(len(inside & set(graph.digraph.predecessors(node))) <= 1 for node in path)
    )


def _convolutions(graph: OperatorGraph, path: list[str]) -> list[str]:
    return [node for node in path if _class(graph, node) in _CONVOLUTIONS]


def _class(graph: OperatorGraph, node: str) -> OperatorClass | None:
    return graph[node].operator_class
