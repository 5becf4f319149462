"""Where the rows of each value lie, as the generated program addresses them.

A tensor is whole, or a ring, or has a table with the place of each row; `RowPlaces` reads that from
the memory plan.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dero_tvm.planning.plan import MemoryPlan
from dero_tvm.planning.rows.plan import reach
from dero_tvm.schedule.network import Cascade, Operation
from dero_tvm.schedule.to_problem import Scheduled, ring_buffer

from .row_tables import ring_of, row_table


@dataclass(frozen=True)
class Address:
    """`offset` bytes into a memory: ``arena:<region>``, ``input:<i>``, ``output:<i>``,
    or ``constant:<name>``.
    """

    base: str
    offset: int = 0

    def moved(self, further: int) -> Address:
        """The address so many bytes further on."""
        return Address(self.base, self.offset + further)


@dataclass(frozen=True)
class RowPlace:
    """Row i lies at ``address + i % ring * row bytes``; `ring` 0 stands for a whole tensor.

    With `table`, the name of a constant, at ``address + table[1 + i % table[0]] * unit``.
    """

    address: Address
    ring: int = 0
    table: str = ""
    unit: int = 1


class RowPlaces:
    """The places of all values of a network; `tables` are constants that it needs besides."""

    def __init__(self, scheduled: Scheduled, plan: MemoryPlan) -> None:
        self.tables: dict[str, np.ndarray] = {}
        self._network = scheduled.network
        self._schedules = scheduled.schedules
        self._plan = plan
        self._ports = _ports_outside(scheduled, plan)
        self._row_places: dict[str, RowPlace] = {}
        if plan.rows is not None:
            self._read_rows()

    def of(self, cascade: Cascade, name: str) -> RowPlace:
        """The place of a value or constant, as an operation of `cascade` sees it."""
        if name in self._network.constants:
            return RowPlace(Address(f"constant:{name}"))
        value = self._network.values[name]
        if value.buffer in self._row_places:
            place = self._row_places[value.buffer]
            start = place.address
            address = Address(start.base, start.offset + value.offset)
            return RowPlace(address, place.ring, place.table, place.unit)
        schedule = self._schedules[cascade.name]
        ring = schedule.ring_of(name)
        if ring is not None:
            return RowPlace(self.of_buffer(ring_buffer(cascade, ring)), schedule.rings[ring])
        start = self.of_buffer(value.buffer)
        return RowPlace(Address(start.base, start.offset + value.offset))

    def of_buffer(self, buffer: str) -> Address:
        """The start of a buffer that lies in one piece."""
        if buffer in self._ports:
            return Address(self._ports[buffer])
        if buffer in self._row_places:
            return self._row_places[buffer].address
        placement = self._plan.placements[buffer]
        return Address(f"arena:{placement.region}", placement.offset)

    def tabled(self, operation: Operation) -> dict[int, int]:
        """The operands whose rows a table gives, with the bytes of one unit of it."""
        found = {}
        for index in operation.row_operands:
            value = self._network.values.get(operation.operands[index])
            place = self._row_places.get(value.buffer) if value is not None else None
            if place is not None and place.table:
                found[index] = place.unit
        return found

    def _read_rows(self) -> None:
        rows = self._plan.rows
        assert rows is not None
        (region,) = [name for name, size in self._plan.arena_bytes.items() if size] or ["sram"]
        arena = f"arena:{region}"
        itemsizes = self._itemsizes()
        for tensor in rows.problem.tensors:
            places = rows.offsets[tensor.name]
            ring = ring_of(places, tensor.row_bytes)
            if ring is not None:
                base, height = ring
                whole = 0 if height >= tensor.rows else height
                self._row_places[tensor.name] = RowPlace(Address(arena, base), whole)
                continue
            unit = max(reach(rows.arena_bytes), itemsizes[tensor.name])
            table = f"rows_{len(self.tables)}"
            self.tables[table] = row_table(places, unit)
            self._row_places[tensor.name] = RowPlace(Address(arena), 0, table, unit)

    def _itemsizes(self) -> dict[str, int]:
        """Bytes of the largest element of each buffer: addresses are multiples of them."""
        found: dict[str, int] = {}
        for value in self._network.values.values():
            found[value.buffer] = max(found.get(value.buffer, 1), value.spec.itemsize)
        return found


def _ports_outside(scheduled: Scheduled, plan: MemoryPlan) -> dict[str, str]:
    """Buffers of the interface that lie outside the arena."""
    network, found = scheduled.network, {}
    if plan.options.external_io:
        for kind, ports in (("input", network.inputs), ("output", network.outputs)):
            for index, port in enumerate(ports):
                if not port.row_streamed:
                    found[network.values[port.value].buffer] = f"{kind}:{index}"
    return found
