"""Small networks of sums over taps, as those who plan column windows see them and as arithmetic.

`needed_at` says which positions of an operand one position of the result reads, tap by tap; nothing
of it is the planner's.
"""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

from dero_tvm.planning.column_windows.network import Operand, Operation, Tensor, WindowNetwork
from dero_tvm.planning.column_windows.reach import Reach
from dero_tvm.planning.problem import BufferKind


@dataclass(frozen=True)
class Axis:
    """A kernel along one axis of an operand `length` long; `up` copies each position so often."""

    length: int
    kernel: int = 1
    stride: int = 1
    before: int = 0
    dilation: int = 1
    up: int = 1

    @property
    def positions(self) -> int:
        span = (self.kernel - 1) * self.dilation + 1
        return (self.length * self.up + 2 * self.before - span) // self.stride + 1

    def needed_at(self, position: int) -> list[int]:
        taps = [
            position * self.stride - self.before + k * self.dilation for k in range(self.kernel)
        ]
        return [tap // self.up for tap in taps if 0 <= tap < self.length * self.up]

    @property
    def reach(self) -> Reach:
        if self.up == 1:
            return Reach.sliding(
                self.length, self.positions, self.kernel, self.stride, self.before, self.dilation
            )
        needed = [self.needed_at(position) for position in range(self.positions)]
        return Reach.of(self.length, [(n[0], n[-1] + 1) for n in needed])


@dataclass(frozen=True)
class Read:
    """An operand: the number of a tensor, and the kernel over it."""

    tensor: int
    rows: Axis
    columns: Axis
    in_place: bool = False


@dataclass(frozen=True)
class Sums:
    """A network: tensor 0 is the input, and tensor i + 1 what `operations[i]` makes.

    `shapes` are rows, columns and bytes of a pixel.
    """

    shapes: tuple[tuple[int, int, int], ...]
    operations: tuple[tuple[Read, ...], ...]

    def macs_at(self, operation: int) -> int:
        """Products of one pixel, those with padding counted."""
        return sum(r.rows.kernel * r.columns.kernel for r in self.operations[operation])

    @property
    def described(self) -> WindowNetwork:
        kinds = [BufferKind.INTERMEDIATE] * len(self.shapes)
        kinds[0], kinds[-1] = BufferKind.INPUT, BufferKind.OUTPUT
        tensors = [Tensor(f"t{i}", *s, k) for i, (s, k) in enumerate(zip(self.shapes, kinds))]
        operations = [
            Operation(
                f"op{index}",
                tuple(Operand(r.tensor, r.rows.reach, r.columns.reach, r.in_place) for r in reads),
                index + 1,
                self.macs_at(index) * self.shapes[index + 1][0] * self.shapes[index + 1][1],
            )
            for index, reads in enumerate(self.operations)
        ]
        return WindowNetwork(tuple(tensors), tuple(operations))

    def values(self) -> list[dict[tuple[int, int], int]]:
        """All tensors, each computed whole."""
        height, width, _ = self.shapes[0]
        found = [{(y, x): 7 * y + 3 * x + 1 for y in range(height) for x in range(width)}]
        for index in range(len(self.operations)):
            rows, columns, _ = self.shapes[index + 1]
            pixels = [(y, x) for y in range(rows) for x in range(columns)]
            found.append({pixel: self.pixel(index, *pixel, found) for pixel in pixels})
        return found

    def pixel(
        self, operation: int, y: int, x: int, tensors: list[dict[tuple[int, int], int]]
    ) -> int:
        """One pixel of a result, from tensors that need have no more than it reads."""
        total = operation
        for number, read in enumerate(self.operations[operation]):
            for row in read.rows.needed_at(y):
                for column in read.columns.needed_at(x):
                    total = 5 * total + (number + 2) * tensors[read.tensor][row, column]
        return total % 1_000_003


@st.composite
def networks(draw: st.DrawFn) -> Sums:
    """Chains with strides, dilation and upsampling, and joins with tensors from before."""
    shapes = [(draw(st.integers(3, 9)), draw(st.integers(3, 11)), draw(st.integers(1, 4)))]
    operations: list[tuple[Read, ...]] = []
    for _ in range(draw(st.integers(1, 6))):
        height, width, depth = shapes[-1]
        alike = [i for i, s in enumerate(shapes[:-1]) if s[:2] == (height, width)]
        kind = draw(st.sampled_from(["same", "same", "other", "up", "join", "join", "copy"]))
        same = Axis(height), Axis(width)
        if kind == "join" and alike:
            other = draw(st.sampled_from(alike))
            shapes.append((height, width, shapes[other][2]))
            last = Read(len(operations), *same)
            operations.append((last, Read(other, *same, in_place=True)))
            continue
        if kind == "copy" or kind == "join":
            shapes.append((height, width, depth))
            operations.append((Read(len(operations), *same, in_place=True),))
            continue
        axes = []
        for length in (height, width):
            if kind == "up":
                axes.append(Axis(length, up=2 if length < 10 else 1))
                continue
            kernel, dilation = draw(st.sampled_from([(1, 1), (2, 1), (3, 1), (3, 2), (5, 1)]))
            before, stride = (kernel - 1) * dilation // 2, 1  # as long as the operand
            if kind == "other":
                before, stride = draw(st.integers(0, 2)), draw(st.integers(1, 3))
            axis = Axis(length, kernel, stride, before, dilation)
            axes.append(axis if axis.positions > 0 else Axis(length))
        shapes.append((axes[0].positions, axes[1].positions, draw(st.integers(1, 4))))
        operations.append((Read(len(operations), *axes),))
    return Sums(tuple(shapes), tuple(operations))
