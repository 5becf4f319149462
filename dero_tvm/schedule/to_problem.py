"""A network as memory planning sees it."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, replace

from dero_tvm.planning.problem import Buffer, BufferKind, Overlap, Problem, Region, Step
from relax_passes.operators.signature import TensorSpec
from relax_passes.streaming.row_schedule import RowSchedule

from .network import Cascade, CascadeKind, Network, Operation, Value

_WORK_ALIGNMENT = 8  # bytes, of what operations use during calls


class Sharing(enum.Enum):
    """Which outputs may lie over inputs that die."""

    NONE = "none"  # every tensor whole and apart
    IN_PLACE = "in place"  # elementwise results over their operand, accumulation included
    ROWS = "rows"  # any output over the rows of an input that are no longer needed


@dataclass(frozen=True)
class Scheduled:
    """A network with the row schedule of each cascade and the names of its temporaries."""

    network: Network
    schedules: dict[str, RowSchedule]  # by cascade
    problem: Problem


def ring_buffer(cascade: Cascade, value: str) -> str:
    """Name of the buffer that holds the ring of an inner value."""
    return f"{cascade.name}.{value}"


def scratch_buffer(cascade: Cascade) -> str:
    """Name of the scratch buffer of a cascade."""
    return f"{cascade.name}.scratch"


def patch_buffer(cascade: Cascade, operation: Operation) -> str:
    """Name of the buffer with what a group in windows of columns has inside."""
    return f"{cascade.name}.{operation.name}.patch"


def work_buffer(cascade: Cascade, operation: Operation) -> str:
    """Name of the buffer that an operation uses during a call: its own, or the cascade's."""
    if operation.group is not None:
        return patch_buffer(cascade, operation)
    return scratch_buffer(cascade)


def work_buffers(cascade: Cascade) -> tuple[Buffer, ...]:
    """The buffers that operations use during calls: one for all scratch, and each group's patch."""
    found: dict[str, Buffer] = {}
    for op in cascade.operations:
        if op.scratch_bytes:
            name = work_buffer(cascade, op)
            size = max(found[name].size if name in found else 0, op.scratch_bytes)
            kind, label = BufferKind.SCRATCH, "scratch"
            if op.group is not None:
                count = len(op.group.operations)
                kind, label = BufferKind.PATCH, f"windows of {count} operators up to {op.name}"
            found[name] = Buffer(name, size, kind, _WORK_ALIGNMENT, label)
    return tuple(found.values())


def state_buffer(cascade: Cascade, operation: Operation) -> str:
    """Name of the buffer with the partial results of a running reduction."""
    return f"{cascade.name}.{operation.name}.state"


def to_problem(
    network: Network,
    *,
    sharing: Sharing = Sharing.IN_PLACE,
    alignment: int = 4,
    regions: tuple[Region, ...] = (Region("sram"),),
) -> Scheduled:
    """State the memory planning problem of `network`; `alignment` in bytes, for every buffer."""
    builder = _Builder(network, sharing, alignment)
    problem = Problem(tuple(builder.buffers.values()), tuple(builder.steps), regions)
    return Scheduled(network, builder.schedules, problem)


class _Builder:
    def __init__(self, network: Network, sharing: Sharing, alignment: int) -> None:
        self.network = network
        self.sharing = sharing
        self.alignment = alignment
        self.buffers: dict[str, Buffer] = {}
        self.steps: list[Step] = []
        self.schedules: dict[str, RowSchedule] = {}
        self.inner = {c.name: network.inner_values(c) for c in network.cascades}
        self.sharers: dict[str, list[Value]] = {}  # by buffer
        for value in network.values.values():
            self.sharers.setdefault(value.buffer, []).append(value)
        self._whole_tensors()
        for cascade in network.cascades:
            self._step(cascade)

    def _whole_tensors(self) -> None:
        inputs = {
            self._buffer_of(port.value) for port in self.network.inputs if not port.row_streamed
        }
        outputs = {
            self._buffer_of(port.value) for port in self.network.outputs if not port.row_streamed
        }
        rings = {value for inner in self.inner.values() for value in inner}
        for name, value in self.network.values.items():
            if name in rings:
                continue
            if value.buffer in inputs:
                kind = BufferKind.INPUT
            elif value.buffer in outputs:
                kind = BufferKind.OUTPUT
            elif value.buffer in self.network.state_buffers:
                kind = BufferKind.STATE
            else:
                kind = BufferKind.INTERMEDIATE
            # A buffer is as large as its farthest view; the owner names it.
            size = value.offset + extent(value.spec)
            known = self.buffers.get(value.buffer)
            size = max(size, known.size if known else 0)
            alignment = self._alignment(value.spec, known)
            owner = self.network.values.get(value.buffer, value)
            self.buffers[value.buffer] = Buffer(
                value.buffer, size, kind, alignment, f"{owner.name} {owner.spec.described}"
            )

    def _buffer_of(self, value: str) -> str:
        return self.network.values[value].buffer

    def _step(self, cascade: Cascade) -> None:
        inner = self.inner[cascade.name]
        schedule = cascade.schedule(inner)
        self.schedules[cascade.name] = schedule
        tenants: dict[str, list[str]] = {}  # results that take a ring over in place, its own first
        for value in schedule.rings:
            tenants.setdefault(schedule.ring_of(value) or value, []).append(value)
        temporaries = [
            self._ring(cascade, value, height, tenants[value])
            for value, height in schedule.rings.items()
            if value not in schedule.in_place
        ]
        for op in cascade.operations:
            if op.state is not None:
                name = state_buffer(cascade, op)
                label = f"partial results of {op.name}"
                self.buffers[name] = Buffer(
                    name, op.state.bytes, BufferKind.SCRATCH, self._alignment(op.state), label
                )
                temporaries.append(name)
        for work in work_buffers(cascade):
            self.buffers[work.name] = replace(work, alignment=max(self.alignment, work.alignment))
            temporaries.append(work.name)
        made = {op.result for op in cascade.operations}
        reads = [o for op in cascade.operations for o in op.operands if o in self.network.values]
        read_buffers = [self._buffer_of(o) for o in reads if o not in made]
        written = [self._buffer_of(v) for v in made if v not in inner]
        self.steps.append(
            Step(
                cascade.name,
                tuple(dict.fromkeys(read_buffers)),
                tuple(dict.fromkeys(sorted(written))),
                tuple(temporaries),
                tuple(self._overlaps(cascade, schedule)),
            )
        )

    def _ring(self, cascade: Cascade, value: str, rows: int, tenants: Sequence[str]) -> str:
        name = ring_buffer(cascade, value)
        spec = self.network.values[value].spec
        label = f"{value}: {rows} of {spec.rows} rows"
        size = rows * spec.row_bytes
        for tenant in tenants:
            known = self.buffers.get(name)
            alignment = self._alignment(self.network.values[tenant].spec, known)
            self.buffers[name] = Buffer(name, size, BufferKind.RING, alignment, label)
        return name

    def _alignment(self, spec: TensorSpec, known: Buffer | None = None) -> int:
        """A pointer to an element must be aligned to the element, eight bytes at most."""
        return max(self.alignment, spec.itemsize, known.alignment if known else 1)

    def _overlaps(self, cascade: Cascade, schedule: RowSchedule) -> list[Overlap]:
        if self.sharing is Sharing.NONE and cascade.kind is CascadeKind.SINGLE:
            return []
        final = cascade.operations[-1]
        output = self.network.values[final.result]
        if not output.spec.elements or not self._owns_buffer(final.result):
            return []
        distances: dict[str, int] = {}
        made = {op.result for op in cascade.operations}
        for name in schedule.tensors_read:
            distance = schedule.distance(name)
            assert distance is not None
            outside = name in self.network.values and name not in made
            if not outside or not self._owns_buffer(name):
                continue
            same_rows = self.network.values[name].spec.row_bytes == output.spec.row_bytes
            if self.sharing is not Sharing.ROWS and (distance > 0 or not same_rows):
                continue
            buffer = self._buffer_of(name)  # two names of one buffer: the stricter one counts
            distances[buffer] = max(distance, distances.get(buffer, distance))
        whole = self._read_whole(cascade)
        return [
            Overlap(output.buffer, buffer, distance, cascade.descending)
            for buffer, distance in distances.items()
            if buffer not in whole
        ]

    def _read_whole(self, cascade: Cascade) -> set[str]:
        """Buffers that an operation reads at once, not row by row."""
        return {
            self._buffer_of(name)
            for op in cascade.operations
            for index, name in enumerate(op.operands)
            if name in self.network.values and index not in op.row_operands
        }

    def _owns_buffer(self, value: str) -> bool:
        """True if the value covers its buffer alone: no slice of a concatenation."""
        placed = self.network.values[value]
        return placed.offset == 0 and all(
            v.offset == 0 and v.spec.dense and v.spec.elements == placed.spec.elements
            for v in self.sharers[placed.buffer]
        )


def extent(spec: TensorSpec) -> int:
    """Bytes from a tensor's first to its last element."""
    if spec.elements == 0:
        return 0
    gap = (spec.pixel_stride - spec.channels) * spec.itemsize
    return spec.rows * spec.row_bytes - gap
