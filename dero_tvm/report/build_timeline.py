"""The timeline of a plan, and the operators of a network, as plain data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dero_tvm.planning import MemoryPlan, liveness
from dero_tvm.planning.problem import BufferKind
from dero_tvm.schedule.network import Network, joint_name
from dero_tvm.schedule.to_problem import Scheduled, ring_buffer

from .build_rows import peak_calls, row_buffers
from .timeline import Cell, ReportedBuffer, ReportedStep, Timeline

_TENSORS = (BufferKind.INPUT, BufferKind.INTERMEDIATE)

Planned = tuple[Scheduled, MemoryPlan]


def timeline(planned: Planned, shortcuts: Mapping[str, Iterable[str]]) -> Timeline:
    """What is in memory when; `shortcuts` maps tensors to the residual joins they wait for."""
    scheduled, plan = planned
    if plan.rows is not None:
        (region,) = [name for name, size in plan.arena_bytes.items() if size] or ["sram"]
        busy = _busy(scheduled.network, plan, shortcuts)
        buffers = list(row_buffers(scheduled.network, plan.rows, region, busy, shortcuts))
        buffers += _states(scheduled, plan)
        calls, peaks, rows = map(list, zip(*peak_calls(plan.rows)))
        live = [size + sum(state.size for state in _states(scheduled, plan)) for size in rows]
    else:
        buffers = _buffers(scheduled, plan, shortcuts)
        live = live_bytes(buffers, len(plan.order))
        calls = peaks = [0] * len(live)
    steps = []
    for position, run in enumerate(plan.runs):
        cascades = [scheduled.network.cascades[i] for i in plan.order[run.first : run.end]]
        operations = [op for cascade in cascades for op in cascade.operations]
        steps.append(
            ReportedStep(
                joint_name(cascades),
                tuple(op.signature.short_name for op in operations),
                operations[-1].signature.output.described,
                live[position],
                sum(op.macs for op in operations),
                calls[position],
                peaks[position],
                scheduled.network.layers_of(op.result for op in operations),
            )
        )
    return Timeline(plan.total_bytes, dict(plan.arena_bytes), tuple(steps), tuple(buffers))


def _buffers(
    scheduled: Scheduled, plan: MemoryPlan, shortcuts: Mapping[str, Iterable[str]]
) -> list[ReportedBuffer]:
    lifetimes = liveness(plan.problem, plan.order, plan.options)
    busy = _busy(scheduled.network, plan, shortcuts)
    tensors = _tensors_by_buffer(scheduled)
    values = scheduled.network.values
    reported = []
    for buffer in plan.problem.buffers:
        if buffer.name not in lifetimes or buffer.name not in plan.placements:
            continue
        first, last = lifetimes[buffer.name]
        placement = plan.placements[buffer.name]
        held = tensors.get(buffer.name, ())
        joins = tuple(dict.fromkeys(join for n in held for join in shortcuts.get(n, ())))
        idle = [s for s in range(first, last + 1) if joins and buffer.name not in busy[s]]
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
                tuple(f"{name} {values[name].spec.described}" for name in held),
                joins,
                tuple(idle) if buffer.kind in _TENSORS else (),
                layers=scheduled.network.layers_of(held),
            )
        )
    return reported


def _states(scheduled: Scheduled, plan: MemoryPlan) -> list[ReportedBuffer]:
    """What lasts from one inference to the next, beside a row placement."""
    assert plan.rows is not None
    end, steps = len(plan.rows.problem.calls) - 1, len(plan.runs) - 1
    tensors = _tensors_by_buffer(scheduled)
    return [
        ReportedBuffer(
            buffer.name,
            buffer.label or buffer.name,
            buffer.kind.value,
            buffer.size,
            place.region,
            place.offset,
            0,
            steps,
            tuple(
                f"{name} {scheduled.network.values[name].spec.described}"
                for name in tensors.get(buffer.name, ())
            ),
            rows=1,
            cells=(Cell(0, 1, place.offset, buffer.size, 0, end),),
        )
        for buffer in plan.problem.buffers
        if buffer.kind is BufferKind.STATE
        for place in [plan.placements[buffer.name]]
    ]


def _busy(
    network: Network, plan: MemoryPlan, shortcuts: Mapping[str, Iterable[str]]
) -> list[set[str]]:
    """For each step the buffers of which an operator makes use, not counting shortcuts of joins."""
    busy = []
    for run in plan.runs:
        used = set()
        cascades = [network.cascades[index] for index in plan.order[run.first : run.end]]
        for op in (op for cascade in cascades for op in cascade.operations):
            operands = [o for o in op.operands if op.result not in shortcuts.get(o, ())]
            used |= {
                network.values[n].buffer for n in (*operands, op.result) if n in network.values
            }
        busy.append(used)
    return busy


def _tensors_by_buffer(scheduled: Scheduled) -> dict[str, list[str]]:
    """Values that lie in each buffer: whole, as views of it, or as tenants of a ring."""
    network = scheduled.network
    found: dict[str, list[str]] = {}
    inner: set[str] = set()
    for cascade in network.cascades:
        schedule = scheduled.schedules[cascade.name]
        for value in network.inner_values(cascade):
            inner.add(value)
            ring = schedule.ring_of(value)
            if ring is not None:
                found.setdefault(ring_buffer(cascade, ring), []).append(value)
    for name, placed in network.values.items():
        if name not in inner:
            found.setdefault(placed.buffer, []).append(name)
    return found


def live_bytes(buffers: Iterable[ReportedBuffer], steps: int) -> list[int]:
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
