"""Which operators may run row by row with a join, over the buffer of which operand.

The preconditions of ``AccumulateResiduals``, on the operator graph; a :class:`Refusal` says which
one does not hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import networkx as nx

from ..ir.operator_graph import Node, OperatorGraph
from ..operators import Operator, OperatorClass, Signature
from .graph_liveness import sharing

_FOLLOWERS = ("dero.unary", "dero.lookup")


class Refusal(Exception):
    """Why a join, or one way of accumulating it, is left alone."""


def check_residual(
    graph: OperatorGraph, join: str, residual: str, other: str, keep_inputs: bool
) -> None:
    """Whether the join may write over `residual`, whatever makes `other`."""
    data, result = graph[residual], graph[join]
    specs = (data.spec, graph[other].spec, result.spec)
    if any((s.shape, s.dtype) != (specs[0].shape, specs[0].dtype) for s in specs):
        raise Refusal(f"{residual}, {other} and {join} differ in shape or type")
    if result.spec.rows == 1:
        raise Refusal(f"{join} has a single row: running row by row would save nothing")
    places = result.implementation.in_place_arguments(result.signature)
    if result.operands.index(residual) not in places:
        raise Refusal(f"{result.operator} cannot write over {residual}")
    if data.operator == "TupleGetItem":
        raise Refusal(f"{residual} is part of a tuple")
    group = sharing(graph, residual)
    for reader in graph.readers(residual):
        if graph[reader].is_concat_in_place:
            raise Refusal(f"{residual} is a slice of the concatenation {reader}")
    before: set[str] | None = None
    for tensor in group:
        if keep_inputs and graph[tensor].kind == "input":
            raise Refusal(f"{residual} is the network input {tensor}, which has to be kept")
        for reader in graph.readers(tensor):
            if graph[reader].kind == "output":
                raise Refusal(f"{residual} is also a network output")
            if reader == join:
                continue
            before = nx.ancestors(graph.digraph, join) if before is None else before
            if reader not in before:
                raise Refusal(f"{residual} is also read by {reader}, which may run after {join}")


def member_sets(
    graph: OperatorGraph, join: str, residual: str, other: str
) -> Iterator[tuple[str, ...]]:
    """Operators that could run row by row with the join: few, then as many as possible."""
    few = {other, join, *_followers(graph, join)}
    yield _in_order(graph, few)
    whole = set(sharing(graph, residual))
    above = {other} if graph[other].known_signature is not None else set()
    chosen = few | above
    pending = list(above)
    waits_for: dict[str, list[str]] = {}  # readers of an operand that were not chosen yet
    while pending:  # whatever is added may be the last reader that an operand waited for
        for operand in graph[pending.pop()].operands:
            if operand is None or operand in whole or operand in above:
                continue
            others = waits_for.setdefault(operand, list(graph.digraph.successors(operand)))
            while others and others[-1] in chosen:
                others.pop()
            if others:
                continue
            if _feeds_elements(graph, operand, above) and _is_inner(graph, operand, chosen):
                above.add(operand)
                chosen.add(operand)
                pending.append(operand)
    if not above <= few:
        yield _in_order(graph, chosen)


def _feeds_elements(graph: OperatorGraph, operand: str, above: set[str]) -> bool:
    """Whether one of the operators `above` reads `operand` element by element."""
    return any(
        reader in above and graph[reader].operator_class is OperatorClass.ELEMENTWISE
        for reader in graph.digraph.successors(operand)
    )


def _followers(graph: OperatorGraph, join: str) -> list[str]:
    """Functions of one element that directly follow, each the only reader of the one before."""
    found: list[str] = []
    last = join
    while True:
        after = graph.readers(last)
        if len(after) != 1 or graph[after[0]].operator not in _FOLLOWERS:
            return found
        data = graph[after[0]]
        in_place = data.implementation.in_place_arguments(data.signature)
        if 0 not in in_place or data.spec.dtype != graph[join].spec.dtype:
            return found
        last = after[0]
        found.append(last)


def check_members(graph: OperatorGraph, join: str, residual: str, members: tuple[str, ...]) -> None:
    """Whether `members` may run row by row over the buffer of `residual`."""
    group = sharing(graph, residual)
    chosen = set(members)
    if not graph.readers(members[-1]):
        raise Refusal(f"nothing reads {members[-1]}")
    for node in members:
        data = graph[node]
        if data.index < graph[join].index:
            _check_producer(graph, node, chosen)
        for argument, operand in enumerate(data.operands):
            if operand not in group or node == join:
                continue
            if operand != residual or not _reads_no_row_above(data, argument):
                raise Refusal(
                    f"{node} still needs rows of {residual} that the sum would have overwritten"
                )


def _check_producer(graph: OperatorGraph, node: str, chosen: set[str]) -> None:
    """Whether no more than the current row of `node` has to exist beside the others."""
    data = graph[node]
    if data.kind == "input":
        raise Refusal(f"{node} is a network input: nothing computes it row by row")
    if data.kind == "cascade":
        raise Refusal(f"{node} is accumulated itself, so it lies in a buffer of its own")
    if data.known_signature is None:
        raise Refusal(f"{node} is computed by {data.operator}, which cannot run row by row")
    if data.is_reshape or data.is_concat_in_place:
        raise Refusal(f"{node} is another view of a tensor that lies in memory whole")
    for reader in graph.readers(node):
        if reader not in chosen:
            what = "is a network output"
            if graph[reader].kind != "output":
                what = f"is also read by {reader}"
            raise Refusal(f"{node} {what}, so it needs a buffer of its own")
        arguments = graph.arguments(node, reader)
        if not all(_reads_row_alone(graph[reader], argument) for argument in arguments):
            raise Refusal(f"{reader} reads several rows of {node} at once")


def _is_inner(graph: OperatorGraph, node: str, chosen: set[str]) -> bool:
    try:
        _check_producer(graph, node, chosen)
    except Refusal:
        return False
    return True


def _reads_row_alone(data: Node, argument: int) -> bool:
    """True if output row i reads row i of the operand and no other."""
    return _row_by_row(data.implementation, data.signature, argument)


@lru_cache(maxsize=4096)
def _row_by_row(operator: Operator, signature: Signature, argument: int) -> bool:
    return argument in operator.row_arguments(signature) and all(
        operator.needed_rows(signature, argument, row) == (row, row + 1)
        for row in range(signature.output.rows)
    )


def _reads_no_row_above(data: Node, argument: int) -> bool:
    """True if output row i reads no row of the operand before its row i."""
    operator, signature = data.implementation, data.signature
    if argument not in operator.row_arguments(signature):
        return False
    needs = (operator.needed_rows(signature, argument, r) for r in range(signature.output.rows))
    return all(begin >= row or begin == end for row, (begin, end) in enumerate(needs))


def _in_order(graph: OperatorGraph, nodes: set[str]) -> tuple[str, ...]:
    return tuple(sorted(nodes, key=lambda n: graph[n].index))
