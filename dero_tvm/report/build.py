"""Filling in a report from plans and a rewritten module."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace

import tvm

from dero_tvm.boards.board import Board
from dero_tvm.planning import MemoryPlan, plan_memory
from dero_tvm.schedule.column_groups import extra_macs
from dero_tvm.schedule.network import Network
from relax_passes.canonicalization.deciding_passes import DECIDING_PASSES
from relax_passes.ir.attributes import NOTES, main_attribute
from relax_passes.ir.decisions import LEFT_ALONE, Decision, decisions
from relax_passes.reorganization import remove_residuals
from relax_passes.residuals import identify_residuals
from relax_passes.residuals.classify_operators import operator_classes
from relax_passes.residuals.fuse_joins import FUSED
from relax_passes.residuals.residual import Branch, Residual, read_residuals
from relax_passes.shortcuts import fuse_shortcuts
from relax_passes.streaming.join_decisions import STREAMED

from .build_operators import operators, producers
from .build_timeline import Planned, timeline
from .channels_first import channels_first_notes
from .data import LiveBuffer, RegionUse, Report, ReportedResidual, ReportedShortcut
from .layer_names import with_layers
from .ports import ports
from .timeline import ReportedBuffer, Timeline


def build_report(
    *,
    model: str,
    board: Board,
    reserve: int,
    dero: str,
    memory_budget: int | None,
    chosen: str,
    module: tvm.IRModule,
    after: Planned,
    before: Planned,
    plain: Planned,
    plain_module: tvm.IRModule,
    rows_proof: str,
    table_bytes: int,
    operator_tables: Mapping[str, int],
    call_lists: Sequence[int],
) -> Report:
    """The report of one compilation.

    `reserve` bytes of the board's first region are left to the application.  `after` is the plan
    that the code is generated from, `before` that of the network as written with every tensor
    whole, `plain` that of the plain network.  `chosen` names what of `dero` the code makes use of,
    `rows_proof` says what is known of other orders of rows, and `table_bytes` are those of the
    program's own tables, which say where rows lie: `operator_tables` of them by operator,
    `call_lists` by step.
    """
    scheduled, plan = after
    network = scheduled.network
    residuals = tuple(_residuals(module, network, plan))
    shortcuts = tuple(_shortcuts(module, network))
    listed = {r.join for r in residuals} | {s.join for s in shortcuts}
    waiting = _waiting_for_joins(module)
    found = timeline(after, waiting)
    peak, steps = found.peak, found.steps
    alive = [(found.buffers[index], found.spans(index, peak)) for index in found.alive(peak)]
    at_peak = [_at_peak(found, *each) for each in alive]
    at_peak.sort(key=lambda b: (b.region, b.offset, -b.size))
    return Report(
        model=model,
        target=board.name,
        dero=dero,
        memory_budget=memory_budget,
        chosen=chosen,
        arena_bytes=plan.total_bytes,
        whole_bytes=before[1].total_bytes,
        plain_bytes=plain[1].total_bytes,
        plain_refusals=tuple(
            f"{with_layers(f'{d.join}: {d.reason}', network.layers)} ({d.pass_name})"
            for d in decisions(plain_module)
            if d.pass_name == remove_residuals.NAME and d.action != "removed"
        ),
        regions=dict(plan.arena_bytes),
        split=_split(alive),
        peak_bytes=steps[peak].live_bytes if steps else 0,
        scratch_bytes=max(plan.workspaces, default=0),
        lower_bound=plan.lower_bound,
        order_proof=plan.order_proof,
        placement_proof=plan.placement_proof,
        rows_proof=rows_proof,
        peak_step=steps[peak].name if steps else "",
        peak_buffers=tuple(at_peak),
        steps=tuple(
            replace(step, call_bytes=size) for step, size in zip(steps, call_lists, strict=True)
        ),
        buffers=found.buffers,
        residuals=residuals,
        shortcuts=shortcuts,
        notes=(*_notes(module), *channels_first_notes(network, {b.name for b, _ in alive})),
        macs=network.macs,
        macs_again=extra_macs(network),
        constants_bytes=network.c_constants_bytes + table_bytes,
        state_bytes=plan.state_bytes,
        table_bytes=table_bytes,
        operators=operators(
            network,
            plan,
            operator_classes(module),
            _other_decisions(module, listed),
            operator_tables,
        ),
        whole=timeline(before, waiting),
        plain=timeline(plain, _waiting_for_joins(plain_module)),
        memory=_memory(board, reserve, plan),
        flash_capacity=board.flash_bytes,
        ports=tuple(ports(network)),
    )


def _memory(board: Board, reserve: int, plan: MemoryPlan) -> tuple[RegionUse, ...]:
    return tuple(
        RegionUse(
            region.name,
            region.size,
            0 if index else min(reserve, region.size),
            plan.arena_bytes.get(region.name, 0),
        )
        for index, region in enumerate(board.ram)
    )


def _waiting_for_joins(module: tvm.IRModule) -> dict[str, list[str]]:
    """Tensor -> the residual joins that it is kept for."""
    removed = {d.join for d in decisions(module) if d.action == "removed"}
    waiting: dict[str, list[str]] = {}
    for residual in read_residuals(module, only_shortcuts=True):
        for branch in residual.shortcuts:
            if residual.join not in removed:
                waiting.setdefault(branch.operand, []).append(residual.join)
    return waiting


def _at_peak(
    found: Timeline, buffer: ReportedBuffer, spans: Sequence[tuple[int, int]]
) -> LiveBuffer:
    """A buffer of the peak, of a tensor by rows those that are alive then."""
    label, size, offset = buffer.label or buffer.name, buffer.size, buffer.offset
    if buffer.cells:
        call = found.steps[found.peak].peak_call
        alive = [cell for cell in buffer.cells if cell.first_call <= call <= cell.last_call]
        size, offset = sum(cell.size for cell in alive), min(cell.offset for cell in alive)
        if buffer.rows > 1:
            label += f", {sum(cell.rows for cell in alive)} of {buffer.rows} rows"
    return LiveBuffer(label, buffer.kind, size, buffer.region, offset, buffer.layers)


def _split(alive: Iterable[tuple[ReportedBuffer, Sequence[tuple[int, int]]]]) -> dict[str, int]:
    """Bytes by kind of buffer; a byte that several share counts for the one that begins first."""
    split: dict[str, int] = {}
    spans = [(start, -end, b.kind) for b, found in alive for start, end in found]
    reached = 0
    for start, negative, kind in sorted(spans, key=lambda span: span[:2]):
        own = max(0, -negative - max(start, reached))
        reached = max(reached, -negative)
        if own:
            split[kind] = split.get(kind, 0) + own
    return split


def _residuals(
    module: tvm.IRModule, network: Network, plan: MemoryPlan
) -> Iterable[ReportedResidual]:
    others = (fuse_shortcuts.NAME, *DECIDING_PASSES)
    decided: dict[str, Decision] = {}
    for decision in decisions(module):
        fused = decision.join in decided and decided[decision.join].action == FUSED
        if decision.pass_name not in others and not fused:
            decided[decision.join] = decision
    producer_of = producers(network)
    for residual in read_residuals(module, only_shortcuts=True):
        decision = _with_plan(residual.join, decided.get(residual.join), network, plan)
        yield ReportedResidual(
            residual.join,
            residual.operator.split(".")[-1],
            residual.shortcut,
            residual.bytes,
            decision.action,
            with_layers(decision.reason, network.layers),
            tuple(_path(residual, branch, network, producer_of) for branch in residual.shortcuts),
            decision.pass_name,
        )


def _with_plan(
    join: str, decision: Decision | None, network: Network, plan: MemoryPlan
) -> Decision:
    """What became of a join: what a pass decided, or the planner of what all passes left alone."""
    if decision is None:
        whole = "its operands and its result are whole tensors"
        decision = Decision(identify_residuals.NAME, join, LEFT_ALONE, whole)
    elif decision.action != LEFT_ALONE:
        return decision
    for operation in network.operations:
        for operand in operation.operands if operation.result == join else ():
            if operand in network.values and _share(join, operand, network, plan):
                return Decision(plan_memory.__name__, join, "in place", f"written over {operand}")
    return decision


def _other_decisions(module: tvm.IRModule, listed: Collection[str]) -> dict[str, Decision]:
    """What was decided on operators, without that on memory for those that are `listed`.

    That they are streamed, steps show.
    """
    return {
        d.join: d
        for d in decisions(module)
        if d.pass_name in DECIDING_PASSES or (d.join not in listed and d.action != STREAMED)
    }


def _shortcuts(module: tvm.IRModule, network: Network) -> Iterable[ReportedShortcut]:
    return (
        ReportedShortcut(d.join, d.action, with_layers(d.reason, network.layers), d.pass_name)
        for d in decisions(module)
        if d.pass_name == fuse_shortcuts.NAME
    )


def _path(
    residual: Residual, branch: Branch, network: Network, producer_of: Callable[[str], str]
) -> tuple[str, ...]:
    """The operators of a shortcut from the fork to the join, both included."""
    names = [name for name in (residual.fork, *branch.operators) if name in network.values]
    return (*dict.fromkeys(map(producer_of, names)), residual.join)


def _share(a: str, b: str, network: Network, plan: MemoryPlan) -> bool:
    """Whether two values have bytes in common; by rows, whether all rows have one place."""
    if plan.rows is not None:
        mine, other = (plan.rows.offsets.get(network.values[name].buffer) for name in (a, b))
        return mine is not None and mine == other
    first, second = (plan.placements.get(network.values[name].buffer) for name in (a, b))
    sizes = {buffer.name: buffer.size for buffer in plan.problem.buffers}
    if first is None or second is None or first.region != second.region:
        return False
    ends = [
        place.offset + sizes[network.values[name].buffer]
        for name, place in ((a, first), (b, second))
    ]
    return max(first.offset, second.offset) < min(ends)


def _notes(module: tvm.IRModule) -> tuple[str, ...]:
    return tuple(str(note) for note in main_attribute(module, NOTES, ()))
