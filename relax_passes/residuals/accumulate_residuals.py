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

from dataclasses import dataclass

import tvm

from ..ir.attributes import CASCADE, IN_PLACE
from ..ir.decisions import LEFT_ALONE, Decision, record
from ..ir.operator_graph import OperatorGraph, graph_of
from ..ir.outline import Outliner, Piece
from ..ir.straight_line import unique_names
from .accumulation_rules import Refusal, check_members, check_residual, member_sets
from .graph_liveness import Schedule, accumulated, live_bytes, schedule

NAME = "AccumulateResiduals"
ACCUMULATE = "accumulate"
_MOST_WORK = 30_000  # tensors of the graph made again, joins of a network of hundreds
_TRIAL_WORK = 0.3  # of weighing one join, in the same unit
_TOO_MANY = "the network has so many joins that only the last ones are weighed"


@tvm.transform.module_pass(opt_level=0, name=NAME)
class AccumulateResiduals:
    """The pass; see the module's docstring.

    With `keep_inputs` the network's input buffers are never overwritten.
    """

    def __init__(self, keep_inputs: bool = False) -> None:
        self.keep_inputs = keep_inputs
        self._work = 0.0

    def transform_module(
        self, mod: tvm.IRModule, _context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        """Return `mod` with accumulating joins outlined and all decisions recorded."""
        mod = unique_names(mod)
        outliner = Outliner(mod)
        graph = graph_of(mod, outliner.line)
        joins = [node for node in graph.operators_in_order() if graph[node].is_join]
        verdicts: dict[str, tuple[str, str]] = {}
        self._work = 0
        changed = True
        while changed:  # one cascade may make another one pay
            graph, changed = self._sweep(outliner, graph, joins, verdicts)
        if outliner.has_outlined:
            mod = outliner.written()
        return record(mod, [Decision(NAME, j, *verdicts[j]) for j in joins if j in verdicts])

    def _sweep(
        self,
        outliner: Outliner,
        graph: OperatorGraph,
        joins: list[str],
        verdicts: dict[str, tuple[str, str]],
    ) -> tuple[OperatorGraph, bool]:
        """Try every join that is still there; fill `verdicts`, and say whether one succeeded."""
        changed = False
        # From the last to the first: a gate before an addition (x * sigmoid(x)) goes along with
        # the addition, which it could not if it had been accumulated on its own.
        for join in reversed(joins):
            if join not in graph or not graph[join].is_elementwise_join:
                continue
            if self._work > _MOST_WORK:
                verdicts.setdefault(join, (LEFT_ALONE, _TOO_MANY))
                continue
            self._work += _TRIAL_WORK * len(graph)
            try:
                chosen = _choose(graph, join, self.keep_inputs)
            except Refusal as refusal:
                verdicts[join] = (LEFT_ALONE, str(refusal))
                continue
            verdicts |= {
                node: ("accumulated", f"runs row by row together with {join}")
                for node in chosen.members
                if graph[node].is_join  # a concatenation, too, can go along
            }
            verdicts[join] = ("accumulated", chosen.story)
            self._work += len(graph)
            outliner.outline(_piece(outliner, chosen))
            graph = graph_of(outliner.mod, outliner.line, known=graph)
            changed = True
        return graph, changed


@dataclass(frozen=True)
class _Candidate:
    """One legal way of accumulating a join."""

    join: str
    residual: str
    members: tuple[str, ...]  # operators of the function, in written order

    @property
    def story(self) -> str:
        producers = ", ".join(self.members[: self.members.index(self.join)])
        return f"{producers} row by row into the buffer of {self.residual}"


def _piece(outliner: Outliner, chosen: _Candidate) -> Piece:
    in_place = outliner.parameters_of(chosen.members).index(chosen.residual)
    attrs = {CASCADE: ACCUMULATE, IN_PLACE: in_place}
    return Piece(chosen.members, f"{ACCUMULATE}_{chosen.members[-1]}", attrs)


def _choose(graph: OperatorGraph, join: str, keep_inputs: bool) -> _Candidate:
    """The candidate with the least peak; raises `Refusal` if there is none."""
    candidates: list[_Candidate] = []
    reasons: dict[str, None] = {}
    operands = graph[join].computed_operands
    for residual, other in (operands, operands[::-1]):
        try:
            check_residual(graph, join, residual, other, keep_inputs)
        except Refusal as refusal:
            reasons[str(refusal)] = None
            continue
        for members in member_sets(graph, join, residual, other):
            try:
                check_members(graph, join, residual, members)
            except Refusal as refusal:
                reasons[str(refusal)] = None
            else:
                candidates.append(_Candidate(join, residual, members))
    if not candidates:
        raise Refusal("; ".join(reasons))
    plan = schedule(graph)
    before = live_bytes(plan)
    costs = [_cost(accumulated(plan, graph, c.members, c.residual)) for c in candidates]
    best = min(range(len(candidates)), key=lambda i: costs[i])
    if costs[best][0] > max(before.values()):
        raise Refusal(
            f"accumulating would raise the peak from {max(before.values()):,} to "
            f"{costs[best][0]:,} bytes, because {candidates[best].members[0]} would run later and "
            "keep its operands alive"
        )
    return candidates[best]


def _cost(plan: Schedule) -> tuple[int, int]:
    """Peak of the network, then bytes summed over all steps to tell equal peaks apart."""
    live = live_bytes(plan)
    return max(live.values()), sum(live.values())
