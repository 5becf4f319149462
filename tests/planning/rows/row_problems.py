"""Random networks as calls of row kernels, for the tests of row placement."""

from __future__ import annotations

import random

from dero_tvm.planning.problem import BufferKind
from dero_tvm.planning.rows.problem import Call, RowProblem, RowRange, RowTensor

INPUT, OUTPUT, SCRATCH = BufferKind.INPUT, BufferKind.OUTPUT, BufferKind.SCRATCH
INTERMEDIATE = BufferKind.INTERMEDIATE


def random_rows(seed: int, count: int) -> RowProblem:
    """`count` calls: inputs that lie there or arrive by rows, joins in place, slices of one row,
    reductions, whole operators, scratch, outputs that are read again, rows that nobody reads.
    """
    chance = random.Random(seed)
    tensors: list[RowTensor] = []
    calls: list[Call] = []
    ready: list[tuple[int, int]] = []  # rows that may be read
    scratch: list[int] = []

    def tensor(rows: int, kind: BufferKind = INTERMEDIATE) -> int:
        in_sequence = kind is not INTERMEDIATE or chance.random() < 0.2
        size = chance.choice((4, 4, 4, 8, 12, 20))
        tensors.append(RowTensor(f"t{len(tensors)}", rows, size, 1, kind, in_sequence))
        return len(tensors) - 1

    def operands(most: int = 3) -> list[tuple[int, int]]:
        near = ready[-5:] if chance.random() < 0.7 else ready
        return chance.sample(near, min(len(near), chance.randint(1, most)))

    def call(operation: int, row: int, reads: list, writes: list) -> None:
        uses: tuple[int, ...] = ()
        if chance.random() < 0.2:  # of its own, or that of another call
            known = scratch and chance.random() < 0.6
            uses = (chance.choice(scratch) if known else tensor(1, SCRATCH),)
            scratch.append(uses[0])
        in_place = [row for row in reads if chance.random() < 0.7]
        ranges = [[RowRange(t, r, r + 1) for t, r in rows] for rows in (reads, writes, in_place)]
        reads, writes, in_place = map(tuple, ranges)
        calls.append(Call(operation // 3, operation, row, reads, writes, uses, in_place))

    for _ in range(chance.randint(0, 2)):
        given = tensor(chance.randint(1, 3), INPUT)
        ready += [(given, row) for row in range(tensors[given].rows)]
    operation = 0
    while len(calls) < count:
        operation += 1
        rows = chance.randint(1, min(3, count - len(calls)))
        kind = chance.choice(("rows", "rows", "rows", "arrive", "reduce", "whole", "slices"))
        result = tensor(
            1 if kind == "reduce" else rows, OUTPUT if chance.random() < 0.2 else INTERMEDIATE
        )
        made = [(result, row) for row in range(tensors[result].rows)]
        if kind == "arrive" or not ready:
            for row in range(tensors[result].rows):
                call(operation, row, [], [(result, row)])
        elif kind == "reduce":
            state = (tensor(1, SCRATCH), 0)
            for row in range(rows):
                reads = operands(1) + [state] * (row > 0)
                call(operation, row, reads, [state] + [(result, 0)] * (row == rows - 1))
        elif kind == "whole":
            call(operation, 0, operands(), made)
        else:
            for row in range(rows):
                place = 0 if kind == "slices" else row
                call(operation + row * (kind == "slices"), row, operands(), [(result, place)])
                made = [(result, r) for r in range(place + 1)]
            operation += rows
        ready += made
    return RowProblem(tuple(tensors), tuple(calls), chance.random() < 0.3)
