"""Which residual joins are reorganized where not all are: named ones, or those that cost memory.

With an address for every row most residuals cost nothing.  Those that do hold rows of their
shortcut while the arena's peak is reached.  So the search plans the network, takes the join that
holds most at the peak, and plans again, until the network fits; then it looks for joins that can
be left out after all.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

import tvm
from tvm import relax

from dero_tvm.boards.board import Board, load_board
from dero_tvm.boards.regions import STACK_RESERVE, board_regions
from dero_tvm.boundary.errors import UserError
from dero_tvm.driver.candidates import Candidate, Candidates
from dero_tvm.driver.choose_plan import smallest
from dero_tvm.driver.dero_levels import Dero
from dero_tvm.driver.network_planner import NetworkPlanner
from dero_tvm.frontends import LoadedModel
from dero_tvm.planning import Options
from dero_tvm.planning.liveness import liveness
from dero_tvm.planning.rows.usage import bytes_alive, placed_rows
from relax_passes import pipeline
from relax_passes.ir.dataflow import is_call
from relax_passes.ir.operator_graph import Node, OperatorGraph, operator_graph
from relax_passes.ir.origins import Origin, with_origins
from relax_passes.ir.straight_line import (
    StraightLine,
    read_function,
    substitute,
    write_function,
)
from relax_passes.operators import attributes_of
from relax_passes.reorganization.attribute import read_reorganization
from relax_passes.reorganization.description import Concat, Elementwise
from relax_passes.reorganization.layout_transpose import TO_NHWC
from relax_passes.reorganization.reorganize_residuals import removable_joins
from relax_passes.residuals.residual import Residual

PEAK = "peak"
_SECONDS = 5.0  # for the search of each plan
_LISTED = 20  # joins in a message
_WIDTHS = {"int8": 4, "float32": 1}  # so many times smaller than float32

Rewrite = Callable[[Collection[str]], tvm.IRModule]
"""The network with these joins reorganized."""


@dataclass(frozen=True)
class PartialChoice:
    """What was chosen, and what it comes to.

    Attributes
    ----------
    joins
        The joins reorganized, as the model file calls them.
    of
        So many could be.
    precision
        What the network is planned for: ``int8``, a fourth of its float32 plan, or ``float32``.
    before, after
        Bytes of the arena with all joins exact, and with these reorganized; every row has an
        address of its own, inputs and outputs are counted.
    board, capacity
        The board to fit, and the bytes that its largest memory has beside the stack; "" and None
        without a board.
    """

    joins: tuple[str, ...]
    of: int
    precision: str
    before: int
    after: int
    board: str = ""
    capacity: int | None = None


@dataclass(frozen=True, eq=False)
class JoinChooser:
    """Chooses joins of one canonical module; `rewrite` reorganizes those that it is given."""

    canonical: tvm.IRModule
    loaded: LoadedModel
    rewrite: Rewrite
    precision: str
    progress: Callable[[str], None]

    def named(self, names: Sequence[str]) -> tuple[list[str], PartialChoice]:
        """The joins of these names; UserError for a name that none has."""
        graph, residuals = self._residuals()
        known = {alias: r.join for r in residuals for alias in _aliases(graph[r.join], r.join)}
        for name in names:
            if name not in known:
                listed = [_title(graph, r.join) for r in residuals]
                more = f" and {len(listed) - _LISTED} more" if len(listed) > _LISTED else ""
                raise UserError(
                    f"--joins {name}: no residual join of that name can be "
                    f"reorganized; there are {', '.join(listed[:_LISTED])}{more}"
                )
        chosen = list(dict.fromkeys(known[name] for name in names))
        before, after = self._planned(self.canonical), self._planned(self.rewrite(chosen))
        return chosen, self._choice(graph, residuals, chosen, before, after)

    def at_peak(self) -> tuple[list[str], PartialChoice]:
        """The joins that hold rows at the peak of the exact network."""
        graph, residuals = self._residuals()
        before = self._planned(self.canonical)
        held = _held_at_peak(before, _of_module(residuals))
        if not held:
            raise UserError(
                f"no residual join holds memory at the peak of "
                f"{self._bytes(before):,} bytes, so reorganizing would save nothing; compile the "
                "network as it is"
            )
        chosen = [r.join for r in residuals if r.join in held]
        after = self._planned(self.rewrite(chosen))
        return chosen, self._choice(graph, residuals, chosen, before, after)

    def fitting(self, board: str | Board) -> tuple[list[str], PartialChoice]:
        """The fewest joins with which the network fits a board; UserError if none suffice."""
        board = load_board(board) if isinstance(board, str) else board
        capacity = max(region.size or 0 for region in board_regions(board, STACK_RESERVE))
        if not capacity:
            raise UserError(f"{board.name} does not say how much memory it has; choose another")
        graph, residuals = self._residuals()
        before = self._planned(self.canonical)
        if self._bytes(before) <= capacity:
            raise UserError(
                f"fits {board.name} as it is: it needs {self._bytes(before):,} bytes "
                f"of {capacity:,}; there is nothing to reorganize for it (give --joins to do so)"
            )
        _, least = self._with([residual.join for residual in residuals], len(residuals))
        if self._bytes(least) > capacity:
            raise UserError(
                f"does not fit {board.name} by reorganizing: with all "
                f"{len(residuals)} residual joins reorganized it needs {self._bytes(least):,} "
                f"bytes of {capacity:,}; choose a smaller input (--input-shapes) or another board"
            )
        chosen: list[str] = []
        after, shortcuts = before, _of_module(residuals)
        while self._bytes(after) > capacity:
            held = _held_at_peak(after, shortcuts)
            left = [r for r in residuals if r.join not in chosen]
            # Where none holds anything, what is in memory may still wait for one: of wide rows.
            chosen.append(max(left, key=lambda r: (held.get(r.join, 0), _row(graph, r))).join)
            module, after = self._with(chosen, len(residuals))
            shortcuts = _of_rewritten(module, graph, residuals)
        chosen, after = self._least(chosen, after, capacity, len(residuals))
        chosen = [r.join for r in residuals if r.join in chosen]
        choice = self._choice(graph, residuals, chosen, before, after)
        return chosen, replace(choice, board=board.name, capacity=capacity)

    def _least(
        self, chosen: list[str], after: Candidate, capacity: int, whole: int
    ) -> tuple[list[str], Candidate]:
        """The joins without those that are not needed once the later ones are there."""
        for join in list(chosen[:-1]):
            fewer = [other for other in chosen if other != join]
            _, candidate = self._with(fewer, whole)
            if self._bytes(candidate) <= capacity:
                chosen, after = fewer, candidate
        return chosen, after

    def _with(self, chosen: Collection[str], whole: int) -> tuple[tvm.IRModule, Candidate]:
        self.progress(f"planning with joins reorganized ({len(chosen)} of {whole})")
        module = self.rewrite(chosen)
        return module, self._planned(module)

    def _residuals(self) -> tuple[OperatorGraph, list[Residual]]:
        return operator_graph(self.canonical), removable_joins(self.canonical)

    def _planned(self, module: tvm.IRModule) -> Candidate:
        options = Options(keep_inputs=False, external_io=False, time_limit=_SECONDS)
        loaded, host = self.loaded, load_board("host")
        planner = NetworkPlanner(loaded, loaded.name, host, options, "default")
        canonical = pipeline.canonicalize()(_naming_itself(_channels_last(module)))
        return smallest(Candidates(canonical, planner), Dero.STREAM)

    def _bytes(self, candidate: Candidate) -> int:
        return candidate.arena_bytes // _WIDTHS[self.precision]

    def _choice(
        self,
        graph: OperatorGraph,
        residuals: Sequence[Residual],
        chosen: Sequence[str],
        before: Candidate,
        after: Candidate,
    ) -> PartialChoice:
        joins = tuple(_title(graph, join) for join in chosen)
        sizes = (self._bytes(before), self._bytes(after))
        return PartialChoice(joins, len(residuals), self.precision, *sizes)


def _aliases(data: Node, join: str) -> set[str]:
    """What a join may be called: the model file's name, with or without its operator."""
    origin = data.origin
    return {join} if origin is None else {join, origin.name, str(origin)}


def _title(graph: OperatorGraph, join: str) -> str:
    origin = graph[join].origin
    return join if origin is None else origin.name


def _row(graph: OperatorGraph, residual: Residual) -> int:
    """Numbers in a row of a join's shortcuts."""
    return sum(prod(graph[b.operand].spec.shape[2:]) for b in residual.shortcuts)


def _held_at_peak(candidate: Candidate, shortcuts: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """For each join whose shortcut is in memory at the peak the bytes that it holds then.

    `shortcuts` has the tensors that the shortcuts of a join are, in the module that was planned.
    """
    alive = _alive_at_peak(candidate)
    held = {}
    for join, tensors in shortcuts.items():
        size = sum(
            bytes_
            for name, bytes_ in alive.items()
            if any(name == tensor or name.startswith(f"{tensor}_") for tensor in tensors)
        )
        if size:
            held[join] = size
    return held


def _of_module(residuals: Sequence[Residual]) -> dict[str, list[str]]:
    """The shortcuts of the joins in the module that they were found in."""
    return {r.join: [branch.operand for branch in r.shortcuts] for r in residuals}


def _of_rewritten(
    module: tvm.IRModule, graph: OperatorGraph, residuals: Sequence[Residual]
) -> dict[str, list[str]]:
    """The shortcuts of the joins that are left in a module that was reorganized in part."""
    nodes = {node.name: node for node in read_reorganization(module).architecture.nodes}
    kept = {n.origin: n for n in nodes.values() if isinstance(n, (Elementwise, Concat))}
    found = {}
    for residual in residuals:
        data = graph[residual.join]
        node = kept.get(str(data.origin))
        if node is None or len(node.inputs) != len(data.operands):
            continue
        places = [data.operands.index(branch.operand) for branch in residual.shortcuts]
        sources = [nodes.get(node.inputs[place]) for place in places]
        found[residual.join] = [source.variable for source in sources if source is not None]
    return found


def _channels_last(module: tvm.IRModule) -> tvm.IRModule:
    """`module` for images that come channels last, where it transposes them first of all.

    A board has them so; transposed there, an image would lie twice in memory.
    """
    line = read_function(module)
    parameters: list[relax.Var] = []
    became: dict[relax.Var, relax.Expr] = {}
    for parameter in line.parameters:
        readers = [(v, x) for v, x in line.bindings if any(a.same_as(parameter) for a in x.args)]
        transposes = all(
            is_call(value, "dero.transpose") and attributes_of(value)["axes"] == TO_NHWC
            for _, value in readers
        )
        if readers and transposes:
            _, value = readers[0]
            parameter = relax.Var(parameter.name, value.ty)
            became |= {var: parameter for var, _ in readers}
        parameters.append(parameter)
    bindings = tuple((v, substitute(x, became)) for v, x in line.bindings if v not in became)
    result = substitute(line.result, became)
    return write_function(module, StraightLine(tuple(parameters), bindings, result))


def _naming_itself(module: tvm.IRModule) -> tvm.IRModule:
    """`module` with the names of its variables as their origins, which passes hand on."""
    line = read_function(module)
    return with_origins(module, {var: Origin("", var.name) for var, _ in line.bindings})


def _alive_at_peak(candidate: Candidate) -> dict[str, int]:
    """Bytes of each tensor that is in memory when most is, by the names before planning."""
    graph = operator_graph(candidate.module, flatten=True)
    alive: dict[str, int] = {}
    for name, size in _planned_at_peak(candidate).items():
        origin = graph[name].origin if name in graph else None
        known = name if origin is None else origin.name
        alive[known] = alive.get(known, 0) + size
    return alive


def _planned_at_peak(candidate: Candidate) -> dict[str, int]:
    plan = candidate.plan
    alive: dict[str, int] = {}
    if plan.rows is not None:
        peak = int(bytes_alive(plan.rows).argmax())
        for row in placed_rows(plan.rows):
            if row.first <= peak <= row.last:
                tensor = plan.rows.problem.tensors[row.tensor]
                name = tensor.name.rpartition(".")[2]
                alive[name] = alive.get(name, 0) + tensor.row_bytes
        return alive
    spans = liveness(plan.problem, plan.order, plan.options)
    sizes = {buffer.name: buffer.size for buffer in plan.problem.buffers}
    steps = range(len(plan.order))
    peak = max(
        steps,
        key=lambda step: sum(
            sizes[name] for name, (first, last) in spans.items() if first <= step <= last
        ),
    )
    for name, (first, last) in spans.items():
        if first <= peak <= last:
            alive[name.rpartition(".")[2]] = sizes[name]
    return alive
