"""Filling in a report from plans and a rewritten module."""

from __future__ import annotations

from collections.abc import Iterable

import tvm

from dero_tvm.boards import Board
from dero_tvm.planning import MemoryPlan, liveness
from dero_tvm.schedule.network import Network
from dero_tvm.schedule.to_problem import Scheduled
from relax_passes.decisions import decisions
from relax_passes.operators import TensorSpec
from relax_passes.residuals import read_residuals

from .data import (
    LiveBuffer,
    Report,
    ReportedBuffer,
    ReportedResidual,
    ReportedShortcut,
    ReportedStep,
)

_NOTES_ATTRIBUTE = "dero.notes"
_ELEMENTWISE_JOINS = "AccumulateResiduals"
_CONCATENATIONS = "ConcatInPlace"
_SHORTCUTS = "FuseShortcuts"

Planned = tuple[Scheduled, MemoryPlan]


def build_report(
    *,
    model: str,
    board: Board,
    dero: str,
    memory_budget: int | None,
    chosen: str,
    module: tvm.IRModule,
    after: Planned,
    before: Planned,
    plain: Planned,
    plain_module: tvm.IRModule,
) -> Report:
    """The report of one compilation.

    `after` is the plan that the code is generated from, `before` that of the network as written
    with every tensor whole, `plain` that of its plain twin.  `chosen` names what of `dero` the
    code makes use of.
    """
    scheduled, plan = after
    network = scheduled.network
    buffers = _buffers(plan)
    live = _live_bytes(buffers, len(plan.order))
    peak = max(range(len(live)), key=lambda position: live[position], default=0)
    at_peak = [b for b in buffers if b.first_step <= peak <= b.last_step]
    at_peak.sort(key=lambda b: (b.region, b.offset, -b.size))
    steps = []
    for position, index in enumerate(plan.order):
        cascade = network.cascades[index]
        steps.append(
            ReportedStep(
                cascade.name,
                tuple(op.signature.operator.split(".")[-1] for op in cascade.operations),
                _tensor(cascade.operations[-1].signature.output),
                live[position],
                sum(op.macs for op in cascade.operations),
            )
        )
    sizes = {b.name: b.size for b in plan.problem.buffers}
    temporary = [sum(sizes[t] for t in step.temporaries) for step in plan.problem.steps]
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
            f"{d.join}: {d.reason}"
            for d in decisions(plain_module)
            if d.pass_name == "RemoveResiduals" and d.action != "removed"
        ),
        regions=dict(plan.arena_bytes),
        split=_split(at_peak),
        peak_bytes=max(live, default=0),
        scratch_bytes=max(temporary, default=0),
        lower_bound=plan.lower_bound,
        order_proof=plan.order_proof,
        placement_proof=plan.placement_proof,
        peak_step=steps[peak].name if steps else "",
        peak_buffers=tuple(
            LiveBuffer(b.label or b.name, b.kind, b.size, b.region, b.offset) for b in at_peak
        ),
        steps=tuple(steps),
        buffers=tuple(buffers),
        residuals=tuple(_residuals(module, network, plan)),
        shortcuts=tuple(
            ReportedShortcut(d.join, d.action, d.reason)
            for d in decisions(module)
            if d.pass_name == _SHORTCUTS
        ),
        notes=_notes(module),
        macs=network.macs,
        constants_bytes=sum(array.nbytes for array in network.constants.values()),
    )


def _buffers(plan: MemoryPlan) -> list[ReportedBuffer]:
    lifetimes = liveness(plan.problem, plan.order, plan.options)
    reported = []
    for buffer in plan.problem.buffers:
        if buffer.name not in lifetimes or buffer.name not in plan.placements:
            continue
        first, last = lifetimes[buffer.name]
        placement = plan.placements[buffer.name]
        reported.append(
            ReportedBuffer(
                buffer.name,
                buffer.label or buffer.name,
                buffer.kind.value,
                buffer.size,
                placement.region,
                placement.offset,
                first,
                last,
            )
        )
    return reported


def _tensor(spec: TensorSpec) -> str:
    return f"{'x'.join(map(str, spec.shape)) or 'scalar'} {spec.dtype}"


def _split(by_address: Iterable[ReportedBuffer]) -> dict[str, int]:
    """Bytes by kind of buffer; a byte that several share counts for the one that begins first."""
    split: dict[str, int] = {}
    region, reached = None, 0
    for b in by_address:
        if b.region != region:
            region, reached = b.region, 0
        own = max(0, b.offset + b.size - max(b.offset, reached))
        reached = max(reached, b.offset + b.size)
        if own:
            split[b.kind] = split.get(b.kind, 0) + own
    return split


def _live_bytes(buffers: Iterable[ReportedBuffer], steps: int) -> list[int]:
    """Bytes in use at each step: buffers that share bytes count them once."""
    by_step: list[list[tuple[str, int, int]]] = [[] for _ in range(steps)]
    for b in buffers:
        for position in range(max(b.first_step, 0), min(b.last_step + 1, steps)):
            by_step[position].append((b.region, b.offset, b.offset + b.size))
    totals = []
    for spans in by_step:
        total, region, reached = 0, None, 0
        for where, start, end in sorted(spans):
            if where != region:
                region, reached = where, 0
            total += max(0, end - max(start, reached))
            reached = max(reached, end)
        totals.append(total)
    return totals


def _residuals(
    module: tvm.IRModule, network: Network, plan: MemoryPlan
) -> Iterable[ReportedResidual]:
    taken = {
        d.join: (d.action, d.reason)
        for d in decisions(module)
        if d.pass_name in (_ELEMENTWISE_JOINS, _CONCATENATIONS)
    }
    for residual in read_residuals(module):
        action, reason = taken.get(residual.join) or _found_in_plan(residual.join, network, plan)
        yield ReportedResidual(
            residual.join,
            residual.operator.split(".")[-1],
            residual.shortcut,
            residual.bytes,
            action,
            reason,
        )


def _found_in_plan(join: str, network: Network, plan: MemoryPlan) -> tuple[str, str]:
    """What became of a join that no pass decided on by itself."""
    for cascade in network.cascades:
        for operation in cascade.operations:
            if operation.result != join:
                continue
            if len(cascade.operations) > 1:
                return "streamed", f"row by row inside {cascade.name}"
            for operand in operation.operands:
                if operand in network.values and _share(join, operand, network, plan):
                    return "in place", f"written over {operand}"
    return "left alone", "its operands and its result are whole tensors"


def _share(a: str, b: str, network: Network, plan: MemoryPlan) -> bool:
    """Whether two values have bytes in common."""
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
    attrs = module["main"].attrs
    if attrs is None or _NOTES_ATTRIBUTE not in attrs:
        return ()
    return tuple(str(note) for note in attrs[_NOTES_ATTRIBUTE])
