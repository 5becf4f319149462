"""What a cascade needs besides what it keeps inside: tensors that are there before or behind it."""

from __future__ import annotations

from ..rows.lives import times_of
from .group_cost import GroupCosts
from .network import WindowNetwork
from .window_plan import WindowPlan, rows_of

_NEVER = -1


class OuterBytes:
    """Whole tensors around the operations ``[begin, end)`` of a network."""

    def __init__(self, network: WindowNetwork) -> None:
        self.network = network
        count = len(network.operations)
        self.made = [network.producers.get(t, _NEVER) for t in range(len(network.tensors))]
        self.read = [
            count if network.lasts(t) else max(network.readers[t], default=self.made[t])
            for t in range(len(network.tensors))
        ]
        self._uncut = self._between_rows()

    def may_cut(self, begin: int) -> bool:
        """Whether a cascade may begin with an operation.

        What the application hands over or takes row by row never lies whole.
        """
        return begin not in self._uncut

    def staying(self, begin: int, end: int) -> int:
        """Bytes made before the cascade and needed behind it."""
        return sum(
            tensor.bytes
            for tensor, made, read in zip(self.network.tensors, self.made, self.read, strict=True)
            if made < begin and read >= end
        )

    def dying(self, begin: int, end: int) -> int:
        """Bytes made before the cascade and read in it for the last time."""
        return sum(
            tensor.bytes
            for tensor, made, read in zip(self.network.tensors, self.made, self.read, strict=True)
            if made < begin and begin <= read < end
        )

    def _between_rows(self) -> set[int]:
        found = set[int]()
        for index, op in enumerate(self.network.operations):
            if op.by_row:
                found.update(range(index + 1, self.read[op.result] + 1))
                for operand in op.operands:
                    found.update(range(self.made[operand.tensor] + 1, index + 1))
        return found


def rows_alive(costs: GroupCosts) -> list[int]:
    """Rows of each tensor that are alive at once if the network is one cascade without groups."""
    network = costs.network
    operations = range(len(network.operations))
    plan = WindowPlan(tuple(costs.alone(op).group for op in operations), (0,))
    problem = rows_of(costs, plan)
    numbers = {tensor.name: number for number, tensor in enumerate(network.tensors)}
    found = [0] * len(network.tensors)
    for tensor, births, deaths in zip(problem.tensors, *times_of(problem), strict=True):
        if tensor.name in numbers:
            changes = [(time, 1) for time in births if time >= 0]
            changes += [(time + 1, -1) for time in deaths if time >= 0]
            alive = most = 0
            for _, change in sorted(changes):
                alive += change
                most = max(most, alive)
            found[numbers[tensor.name]] = most
    return found
