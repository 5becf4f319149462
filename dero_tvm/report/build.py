"""Filling in a report from plans and a rewritten module."""

from __future__ import annotations

from collections.abc import Iterable

import tvm

from dero_tvm.boards import Board
from dero_tvm.planning import MemoryPlan, liveness
from dero_tvm.planning.problem import BufferKind
from dero_tvm.schedule.to_problem import Scheduled
from relax_passes.decisions import decisions
from relax_passes.residuals import read_residuals

from .data import LiveBuffer, Report, ReportedBuffer, ReportedResidual, ReportedStep

_NOTES_ATTRIBUTE = "dero.notes"
_ELEMENTWISE_JOINS = "AccumulateResiduals"
_CONCATENATIONS = "ConcatInPlace"

Planned = tuple[Scheduled, MemoryPlan]


def build_report(
    *,
    model: str,
    board: Board,
    dero: str,
    memory_budget: int | None,
    module: tvm.IRModule,
    after: Planned,
    before: Planned,
    plain: Planned,
    plain_module: tvm.IRModule,
    notes: tuple[str, ...] = (),
) -> Report:
    """The report of one compilation.

    `after` is the plan that the code is generated from, `before` that of the network as written
    with every tensor whole, `plain` that of its plain twin.  `notes` join those of the module.
    """
    scheduled, plan = after
    network = scheduled.network
    buffers = _buffers(plan)
    live = _live_bytes(buffers, len(plan.order))
    peak = max(range(len(live)), key=lambda position: live[position], default=0)
    at_peak = [b for b in buffers if b.first_step <= peak <= b.last_step]
    split = {kind.value: 0 for kind in BufferKind}
    for buffer in at_peak:
        split[buffer.kind] += buffer.size
    steps = []
    for position, index in enumerate(plan.order):
        cascade = network.cascades[index]
        steps.append(
            ReportedStep(
                cascade.name,
                tuple(op.signature.operator.split(".")[-1] for op in cascade.operations),
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
        arena_bytes=plan.total_bytes,
        whole_bytes=before[1].total_bytes,
        plain_bytes=plain[1].total_bytes,
        plain_refusals=tuple(
            f"{d.join}: {d.reason}"
            for d in decisions(plain_module)
            if d.pass_name == "RemoveResiduals" and d.action != "removed"
        ),
        regions=dict(plan.arena_bytes),
        split={kind: size for kind, size in split.items() if size},
        scratch_bytes=max(temporary, default=0),
        lower_bound=plan.lower_bound,
        order_proof=plan.order_proof,
        placement_proof=plan.placement_proof,
        peak_step=steps[peak].name if steps else "",
        peak_buffers=tuple(
            LiveBuffer(b.label or b.name, b.kind, b.size)
            for b in sorted(at_peak, key=lambda b: -b.size)
        ),
        steps=tuple(steps),
        buffers=tuple(buffers),
        residuals=tuple(_residuals(module)),
        notes=(*_notes(module), *notes),
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


def _residuals(module: tvm.IRModule) -> Iterable[ReportedResidual]:
    taken = {
        d.join: d for d in decisions(module) if d.pass_name in (_ELEMENTWISE_JOINS, _CONCATENATIONS)
    }
    for residual in read_residuals(module):
        decision = taken.get(residual.join)
        yield ReportedResidual(
            residual.join,
            residual.operator.split(".")[-1],
            residual.shortcut,
            residual.bytes,
            decision.action if decision else "left alone",
            decision.reason if decision else "no rewriting pass ran",
        )


def _notes(module: tvm.IRModule) -> tuple[str, ...]:
    attrs = module["main"].attrs
    if attrs is None or _NOTES_ATTRIBUTE not in attrs:
        return ()
    return tuple(str(note) for note in attrs[_NOTES_ATTRIBUTE])
