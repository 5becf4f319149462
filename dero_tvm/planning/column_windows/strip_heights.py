"""How many rows of each tensor inside a group are alive at once in a pass.

A pass runs row by row, as a cascade does: to make a row the last operation has those made that the
row needs.  Where every tensor has one reader, as many rows are alive as one row of its reader
needs.  Where one has several, passes are run without computing.
"""

from __future__ import annotations

from .axis_walk import AxisWalk
from .network import WindowNetwork

_PASSES = 8  # of one group that are run; those between look like their neighbours


def strip_heights(network: WindowNetwork, walk: AxisWalk, last: int) -> dict[int, int]:
    """Rows by operation, but for the last one; `walk` goes down the rows to the group's first."""
    inner = range(walk.first, last)
    readers = {op: network.readers[network.operations[op].result] for op in inner}
    if all(len(found) == 1 for found in readers.values()):
        return {op: _window_height(network, walk, op, readers[op][0]) for op in inner}
    passes = walk.units
    chosen = set(range(passes))
    if passes > _PASSES:
        middle = passes // 2
        chosen = {0, passes - 2, passes - 1, *range(middle, middle + _PASSES - 3)}
    heights = dict.fromkeys(inner, 0)
    for number in sorted(chosen):
        _Pass(network, walk, last, number, heights).run()
    return heights


def _window_height(network: WindowNetwork, walk: AxisWalk, op: int, reader: int) -> int:
    """The most rows of a result that a row of its only reader needs."""
    operation, result = network.operations[reader], network.operations[op].result
    if operation.state:
        return 1
    begin, end = walk.made[reader]
    most = 0
    for operand in operation.operands:
        if operand.tensor == result:
            heights = (operand.rows.asked - operand.rows.oldest)[int(begin.min()) : int(end.max())]
            most = max(most, int(heights.max(initial=0)))
    return most


class _Pass:
    """One pass, run without computing; `heights` grow to what it needs."""

    def __init__(
        self,
        network: WindowNetwork,
        walk: AxisWalk,
        last: int,
        number: int,
        heights: dict[int, int],
    ) -> None:
        self.heights = heights
        self.last = last
        self.running = bool(network.operations[last].state)
        taken = network.operations[last].operands[0].tensor if self.running else -1
        ranges = {last: walk.held[taken]} if self.running else {}
        ranges |= walk.made
        self.made = {op: int(begin[number]) for op, (begin, _) in ranges.items()}
        self.end = {op: int(end[number]) for op, (_, end) in ranges.items()}
        producers = {network.operations[op].result: op for op in heights}
        above: dict[int, set[int]] = {}
        self.asks: dict[int, list[tuple[int, list[int], list[int]]]] = {}
        self.readers: dict[int, list[tuple[int, list[int]]]] = {op: [] for op in heights}
        for op in (*heights, last):
            asked = [
                (
                    producers[operand.tensor],
                    operand.rows.oldest.tolist(),
                    operand.rows.asked.tolist(),
                )
                for operand in network.operations[op].operands
                if operand.tensor in producers
            ]
            if op == last and self.running:
                rows = list(range(self.end[last]))
                asked = [(asked[0][0], rows, [row + 1 for row in rows])]
            above[op] = {op}.union(*(above[producer] for producer, _, _ in asked))
            # The one behind fewer operations first, as in a cascade.
            self.asks[op] = sorted(asked, key=lambda ask: len(above[ask[0]]))
            for producer, first, _ in asked:
                self.readers[producer].append((op, first))

    def run(self) -> None:
        """Make all rows of the pass."""
        while self.made[self.last] < self.end[self.last]:
            self._make(self.last)

    def _make(self, op: int) -> None:
        row = self.made[op]
        for producer, _, end in self.asks[op]:
            while self.made[producer] < min(end[row], self.end[producer]):
                self._make(producer)
        self.made[op] = row + 1
        if op in self.heights:
            needed = [
                first[self.made[reader]]
                for reader, first in self.readers[op]
                if self.made[reader] < self.end[reader]
            ]
            self.heights[op] = max(self.heights[op], row + 1 - min([row + 1, *needed]))
