r"""AccumulateResiduals: the residual's buffer takes the sum, so no third tensor exists.

::

    x ---------------------.             x ----------------.
      \                     add -> z       \\               accumulate(y, x) -> z, in x's buffer
       conv1 -> y -> conv2 -'               conv1 -> y ----'

The addition and the operator that makes its other operand become one private function with the
attributes ``dero.cascade = "accumulate"`` and ``dero.in_place`` = index of the parameter whose
buffer the result takes.  Its operators run row by row: one row of ``conv2``, then the sum's row
over the residual's row.  An element-by-element operator that directly follows the addition goes
along, as do such operators between the convolution and the addition (``conv -> silu -> add``).
Every join of two tensors element by element is treated alike: addition, subtraction,
multiplication, minimum, maximum, division.

Which operand is the residual is free where both could be: in ``add(conv1x1(x), conv3x3(y))`` the
projection's output may be the buffer and the main branch accumulate into it, or the reverse.  The
choice with the smaller peak in the written order is taken.

Preconditions, for a residual operand `r` and an accumulating operand `a`:

* `r`, `a` and the result have one shape and type, and more than one row;
* all readers of r's buffer run before the join in every order: each is one of its ancestors; and
  none of them is a network output;
* `a` comes from one of the project's operators and has no other reader;
* whatever reads r inside the function reads, for row i of the result, no row above i: those are
  overwritten by then (``add(x, conv3x3(x))`` is refused, ``add(x, conv1x1(x))`` is not);
* the peak does not rise: the operator that makes `a` is delayed until the join, and keeps its own
  operands alive until then.

Does not handle: joins with broadcasting, and operands made by TVM's own (opaque) operators, which
cannot run row by row.  The reason for every join left alone is in ``decisions.decisions``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import networkx as nx
import tvm

from .decisions import Decision, record
from .graph import (
    CASCADE,
    IN_PLACE,
    is_elementwise_join,
    operator_graph,
    operators_in_order,
    readers,
)
from .liveness import (
    Schedule,
    accumulated,
    is_concat_in_place,
    is_reshape,
    live_bytes,
    schedule,
    sharing,
)
from .operators import OperatorClass
from .outline import outline, parameters_of
from .straight_line import unique_names

ACCUMULATE = "accumulate"
_FOLLOWERS = ("dero.unary", "dero.lookup")


@tvm.transform.module_pass(opt_level=0, name="AccumulateResiduals")
class AccumulateResiduals:
    """The pass; see the module's docstring.

    With `keep_inputs` the network's input buffers are never overwritten.
    """

    def __init__(self, keep_inputs: bool = False) -> None:
        self.keep_inputs = keep_inputs

    def transform_module(
        self, mod: tvm.IRModule, _context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        """Return `mod` with accumulating joins outlined and all decisions recorded."""
        mod = unique_names(mod)
        graph = operator_graph(mod)
        joins = [node for node in operators_in_order(graph) if is_elementwise_join(graph, node)]
        verdicts: dict[str, tuple[str, str]] = {}
        changed = True
        while changed:  # one cascade may make another one pay
            mod, graph, changed = self._sweep(mod, graph, joins, verdicts)
        return record(mod, [Decision("AccumulateResiduals", j, *verdicts[j]) for j in joins])

    def _sweep(
        self,
        mod: tvm.IRModule,
        graph: nx.DiGraph,
        joins: list[str],
        verdicts: dict[str, tuple[str, str]],
    ) -> tuple[tvm.IRModule, nx.DiGraph, bool]:
        """Try every join that is still there; fill `verdicts`, and say whether one succeeded."""
        changed = False
        # From the last to the first: a gate before an addition (x * sigmoid(x)) goes along with
        # the addition, which it could not if it had been accumulated on its own.
        for join in reversed(joins):
            if join not in graph or not is_elementwise_join(graph, join):
                continue
            try:
                chosen = _choose(graph, join, self.keep_inputs)
            except _Refusal as refusal:
                verdicts[join] = ("left alone", str(refusal))
                continue
            verdicts |= {
                node: ("accumulated", f"runs row by row together with {join}")
                for node in chosen.members
                if is_elementwise_join(graph, node)
            }
            verdicts[join] = ("accumulated", chosen.story)
            mod = _outlined(mod, chosen)
            graph = operator_graph(mod)
            changed = True
        return mod, graph, changed


class _Refusal(Exception):
    """Why a join, or one way of accumulating it, is left alone."""


@dataclass(frozen=True)
class _Candidate:
    """One legal way of accumulating a join."""

    residual: str
    members: tuple[str, ...]  # operators of the function, in written order

    @property
    def story(self) -> str:
        return f"{self.members[0]} adds into the buffer of {self.residual}"


def _outlined(mod: tvm.IRModule, chosen: _Candidate) -> tvm.IRModule:
    in_place = parameters_of(mod, chosen.members).index(chosen.residual)
    attrs = {CASCADE: ACCUMULATE, IN_PLACE: in_place}
    return outline(mod, chosen.members, f"{ACCUMULATE}_{chosen.members[-1]}", attrs)


def _choose(graph: nx.DiGraph, join: str, keep_inputs: bool) -> _Candidate:
    """The candidate with the least peak; raises `_Refusal` if there is none."""
    candidates: list[_Candidate] = []
    reasons: dict[str, None] = {}
    operands = graph.nodes[join]["operands"]
    for residual, other in (operands, operands[::-1]):
        try:
            _check_residual(graph, join, residual, other, keep_inputs)
        except _Refusal as refusal:
            reasons[str(refusal)] = None
            continue
        for members in _member_sets(graph, join, residual, other):
            try:
                _check_members(graph, join, residual, members)
            except _Refusal as refusal:
                reasons[str(refusal)] = None
            else:
                candidates.append(_Candidate(residual, members))
    if not candidates:
        raise _Refusal("; ".join(reasons))
    plan = schedule(graph)
    before = live_bytes(plan)
    costs = [_cost(accumulated(plan, graph, c.members, c.residual), join) for c in candidates]
    best = min(range(len(candidates)), key=lambda i: costs[i])
    if costs[best][0] > max(before.values()):
        raise _Refusal(
            f"accumulating would raise the peak from {max(before.values()):,} to "
            f"{costs[best][0]:,} bytes, because {candidates[best].members[0]} would run later and "
            "keep its operands alive"
        )
    return candidates[best]


def _cost(plan: Schedule, join: str) -> tuple[int, int]:
    """Peak of the network, then bytes summed over all steps to tell equal peaks apart."""
    live = live_bytes(plan)
    return max(live.values()), sum(live.values())


def _check_residual(
    graph: nx.DiGraph, join: str, residual: str, other: str, keep_inputs: bool
) -> None:
    """Whether the join may write over `residual`, whatever makes `other`."""
    data, result = graph.nodes[residual], graph.nodes[join]
    specs = (data["spec"], graph.nodes[other]["spec"], result["spec"])
    if any((s.shape, s.dtype) != (specs[0].shape, specs[0].dtype) for s in specs):
        raise _Refusal(f"{residual}, {other} and {join} differ in shape or type")
    if result["spec"].rows == 1:
        raise _Refusal(f"{join} has a single row: running row by row would save nothing")
    places = result["implementation"].in_place_arguments(result["signature"])
    if result["operands"].index(residual) not in places:
        raise _Refusal(f"{result['operator']} cannot write over {residual}")
    if data["operator"] == "TupleGetItem":
        raise _Refusal(f"{residual} is part of a tuple")
    group = sharing(graph, residual)
    before = nx.ancestors(graph, join)
    for reader in readers(graph, residual):
        if is_concat_in_place(graph.nodes[reader]):
            raise _Refusal(f"{residual} is a slice of the concatenation {reader}")
    for tensor in group:
        if keep_inputs and graph.nodes[tensor]["kind"] == "input":
            raise _Refusal(f"{residual} is the network input {tensor}, which has to be kept")
        for reader in readers(graph, tensor):
            if graph.nodes[reader]["kind"] == "output":
                raise _Refusal(f"{residual} is also a network output")
            if reader != join and reader not in before:
                raise _Refusal(f"{residual} is also read by {reader}, which may run after {join}")


def _member_sets(
    graph: nx.DiGraph, join: str, residual: str, other: str
) -> Iterator[tuple[str, ...]]:
    """Operators that could run row by row with the join: few, then as many as possible."""
    few = {other, join, *_followers(graph, join)}
    yield _in_order(graph, few)
    whole = set(sharing(graph, residual))
    above = {other} if graph.nodes[other]["signature"] is not None else set()
    while True:
        found = {
            operand
            for node in above
            if graph.nodes[node]["operator_class"] is OperatorClass.ELEMENTWISE
            for argument, operand in enumerate(graph.nodes[node]["operands"])
            if operand is not None and operand not in whole | above
            if _is_inner(graph, operand, few | above)
            if _reads_row_alone(graph.nodes[node], argument)
        }
        if not found:
            break
        above |= found
    if not above <= few:
        yield _in_order(graph, few | above)


def _followers(graph: nx.DiGraph, join: str) -> list[str]:
    """Functions of one element that directly follow, each the only reader of the one before."""
    found: list[str] = []
    last = join
    while True:
        after = readers(graph, last)
        if len(after) != 1 or graph.nodes[after[0]]["operator"] not in _FOLLOWERS:
            return found
        data = graph.nodes[after[0]]
        in_place = data["implementation"].in_place_arguments(data["signature"])
        if 0 not in in_place or data["spec"].dtype != graph.nodes[join]["spec"].dtype:
            return found
        last = after[0]
        found.append(last)


def _check_members(graph: nx.DiGraph, join: str, residual: str, members: tuple[str, ...]) -> None:
    """Whether `members` may run row by row over the buffer of `residual`."""
    group = sharing(graph, residual)
    chosen = set(members)
    if not readers(graph, members[-1]):
        raise _Refusal(f"nothing reads {members[-1]}")
    for node in members:
        data = graph.nodes[node]
        if data["index"] < graph.nodes[join]["index"]:
            _check_producer(graph, node, chosen)
        for argument, operand in enumerate(data["operands"]):
            if operand not in group or node == join:
                continue
            if operand != residual or not _reads_no_row_above(data, argument):
                raise _Refusal(
                    f"{node} still needs rows of {residual} that the sum would have overwritten"
                )


def _check_producer(graph: nx.DiGraph, node: str, chosen: set[str]) -> None:
    data = graph.nodes[node]
    if data["kind"] == "input":
        raise _Refusal(f"{node} is a network input: nothing computes it row by row")
    if data["kind"] == "cascade":
        raise _Refusal(f"{node} is accumulated itself, so it lies in a buffer of its own")
    if data["signature"] is None:
        raise _Refusal(f"{node} is computed by {data['operator']}, which cannot run row by row")
    if is_reshape(data) or is_concat_in_place(data):
        raise _Refusal(f"{node} is another view of a tensor that lies in memory whole")
    for reader in readers(graph, node):
        if reader not in chosen:
            what = "is a network output"
            if graph.nodes[reader]["kind"] != "output":
                what = f"is also read by {reader}"
            raise _Refusal(f"{node} {what}, so it needs a buffer of its own")


def _is_inner(graph: nx.DiGraph, node: str, chosen: set[str]) -> bool:
    try:
        _check_producer(graph, node, chosen)
    except _Refusal:
        return False
    return True


def _reads_row_alone(data: dict, argument: int) -> bool:
    """True if output row i reads row i of the operand and no other."""
    operator, signature = data["implementation"], data["signature"]
    return argument in operator.row_arguments(signature) and all(
        operator.needed_rows(signature, argument, row) == (row, row + 1)
        for row in range(signature.output.rows)
    )


def _reads_no_row_above(data: dict, argument: int) -> bool:
    """True if output row i reads no row of the operand before its row i."""
    operator, signature = data["implementation"], data["signature"]
    if argument not in operator.row_arguments(signature):
        return False
    needs = (operator.needed_rows(signature, argument, r) for r in range(signature.output.rows))
    return all(begin >= row or begin == end for row, (begin, end) in enumerate(needs))


def _in_order(graph: nx.DiGraph, nodes: set[str]) -> tuple[str, ...]:
    return tuple(sorted(nodes, key=lambda n: graph.nodes[n]["index"]))
