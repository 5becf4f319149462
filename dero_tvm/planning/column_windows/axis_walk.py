"""What the operations of a group make along one axis, from the last one backwards.

The last operation makes its result in units: so many rows in a pass, so many columns in a window;
a running reduction takes its operand in such units.  What it needs for one unit the operations
before it make, and so on.  Three 3x3 convolutions, of which the last makes 4 columns at a time:

    last     made  [0..3] [4..7] [8..11]
    second   made  [0..4] [3..8] [7..11]      columns 3, 4, 7, 8 twice
    first    made  [0..5] [2..9] [6..11]

With `keep` what is made stays from the first unit that needs it to the last one, and nothing is
made twice.  What is held is then the same at the edges, and less inside a group, for an operation
reads only what its new positions need:

    second   made  [0..4] [5..8] [9..11]      held for the last: [0..4] [3..8] [7..11]
    first    made  [0..5] [6..9] [10..11]     held for the second: [0..5] [4..9] [8..11]
"""

from __future__ import annotations

import numpy as np

from .network import Operand, WindowNetwork
from .reach import Reach

Ranges = tuple[np.ndarray, np.ndarray]
"""Half-open ranges of positions: their beginnings and their ends, by unit."""


def units(length: int, unit: int) -> Ranges:
    """The positions of an axis in units, the last of which may be shorter."""
    begin = np.arange(0, length, unit)
    return begin, np.minimum(begin + unit, length)


def union(one: Ranges, other: Ranges) -> Ranges:
    """The least ranges with both in them."""
    return np.minimum(one[0], other[0]), np.maximum(one[1], other[1])


class AxisWalk:
    """Ranges along the rows or the columns; `first` is the operation to which it has come.

    `made` has what each operation makes in each unit, `held` what there has to be of each tensor
    while it does.  Where a group ends up beginning, the walk may go on for a longer one: nothing of
    what is known changes, but that more operations read what is made outside.
    """

    def __init__(
        self, network: WindowNetwork, last: int, unit: int, *, rows: bool, keep: bool = False
    ) -> None:
        self.network = network
        self.rows = rows
        self.keep = keep
        self.first = last
        operation = network.operations[last]
        taken = operation.operands[0].tensor if operation.state else operation.result
        tensor = network.tensors[taken]
        ranges = units(tensor.rows if rows else tensor.columns, unit)
        self.units = len(ranges[0])
        self.made: dict[int, Ranges] = {}
        self.held: dict[int, Ranges] = {}
        self.positions: dict[int, int] = {}  # that each operation makes, in all units
        self.parts: dict[int, int] = {}  # units in which it makes some
        self._kept: dict[int, bool] = {}
        if operation.state:  # what counts is what it takes
            self.held[taken] = ranges
        else:
            self.made[last] = ranges
            self._count(last)
            self._read(last)

    def extend(self) -> None:
        """Go on with the operation before, of which the group must read the result."""
        self.first -= 1
        result = self.network.operations[self.first].result
        begin, end = self.held[result]
        if self.keep:
            end = np.maximum.accumulate(end)
            begin = np.minimum(np.minimum.accumulate(begin[::-1])[::-1], end)
            self.held[result] = begin, end
            before = np.concatenate(([0], end[:-1]))
            self._kept[self.first] = bool(np.any(begin < before))
            begin = np.maximum(begin, before)
        self.made[self.first] = np.minimum(begin, end), end
        self._count(self.first)
        self._read(self.first)

    def longest(self, tensor: int) -> int:
        """The most positions of a tensor that are held in one unit."""
        begin, end = self.held[tensor]
        return int(np.max(end - begin, initial=0))

    def keeps(self, operation: int) -> bool:
        """Whether something of an operation's result stays from one unit to the next."""
        return self._kept.get(operation, False)

    @property
    def keeps_something(self) -> bool:
        """Whether something of any operation's result does."""
        return any(self._kept.values())

    def _count(self, operation: int) -> None:
        begin, end = self.made[operation]
        self.positions[operation] = int(np.sum(np.maximum(end - begin, 0)))
        self.parts[operation] = int(np.count_nonzero(end > begin))

    def _read(self, operation: int) -> None:
        for operand in self.network.operations[operation].operands:
            needed = self._reach(operand).needed(*self.made[operation], in_turn=self.rows)
            known = self.held.get(operand.tensor)
            self.held[operand.tensor] = union(known, needed) if known else needed

    def _reach(self, operand: Operand) -> Reach:
        reach = operand.rows if self.rows else operand.columns
        assert reach is not None, "only operations that are windowed are in groups"
        return reach
