"""Random planning problems and small networks for the tests of memory planning."""

from __future__ import annotations

import random
from dataclasses import replace

from dero_tvm.planning import Buffer, BufferKind, Options, Overlap, Problem, Region, Step


def random_problem(seed: int, steps: int, *, alignments: tuple[int, ...] = (1,)) -> Problem:
    """A connected random network: joins, slices written by several steps, temporaries, overlap
    constraints of positive, zero and negative distance, an output that is read again, several
    outputs.
    """
    chance = random.Random(seed)

    def buffer(name: str, kind: BufferKind = BufferKind.INTERMEDIATE) -> Buffer:
        return Buffer(name, chance.randint(0, 12) * chance.choice((1, 3)), kind, align())

    def align() -> int:
        return chance.choice(alignments)

    inputs = [buffer(f"in{i}", BufferKind.INPUT) for i in range(chance.choice((1, 1, 2)))]
    buffers = list(inputs)
    tensors = [b.name for b in inputs]
    sizes = {b.name: b.size for b in buffers}
    made: list[Step] = []
    half_written: list[str] = []
    for number in range(steps):
        reads = chance.sample(tensors[-4:], min(len(tensors[-4:]), chance.choice((1, 1, 2, 3))))
        temporaries = []
        for kind in (BufferKind.RING, BufferKind.SCRATCH):
            if chance.random() < 0.2:
                extra = buffer(f"{kind.value}{number}", kind)
                buffers.append(extra)
                sizes[extra.name] = extra.size
                temporaries.append(extra.name)
        if half_written and chance.random() < 0.5:
            output = half_written.pop()
            if chance.random() < 0.3:
                reads.append(output)
            tensors.append(output)
        else:
            kind = BufferKind.OUTPUT if chance.random() < 0.15 else BufferKind.INTERMEDIATE
            target = buffer(f"t{number}", kind)
            buffers.append(target)
            output = target.name
            sizes[output] = target.size
            if chance.random() < 0.15:
                half_written.append(output)
            else:
                tensors.append(output)
        overlaps = tuple(
            Overlap(output, name, chance.choice((0, 0, chance.randint(-3, 6), sizes[output])))
            for name in (*reads, *temporaries)
            if name != output and chance.random() < 0.6
        )
        made.append(Step(f"s{number}", tuple(reads), (output,), tuple(temporaries), overlaps))
    read = {name for step in made for name in step.reads}
    finished = tuple(
        Buffer(b.name, b.size, BufferKind.OUTPUT, b.alignment)
        if b.kind is BufferKind.INTERMEDIATE and b.name not in read
        else b
        for b in buffers
    )
    return Problem(finished, tuple(made))


def random_options(seed: int) -> Options:
    """Options with a short time limit."""
    chance = random.Random(seed)
    return Options(
        keep_inputs=chance.random() < 0.3,
        external_io=chance.random() < 0.2,
        time_limit=0.5,
    )


class Network:
    """Builds a problem operator by operator; unread tensors become outputs."""

    def __init__(self) -> None:
        self.buffers: list[Buffer] = []
        self.steps: list[Step] = []

    def input(self, size: int) -> str:
        """A network input of `size` bytes."""
        self.buffers.append(Buffer(f"x{len(self.buffers)}", size, BufferKind.INPUT))
        return self.buffers[-1].name

    def operator(
        self, inputs: list[str], size: int, *, scratch: int = 0, distance: int | None = None
    ) -> str:
        """An operator with one output; with `distance` it may overlap every input."""
        number = len(self.steps)
        self.buffers.append(Buffer(f"t{number}", size))
        temporaries = []
        if scratch:
            temporaries.append(f"scratch{number}")
            self.buffers.append(Buffer(temporaries[0], scratch, BufferKind.SCRATCH))
        overlaps = (
            ()
            if distance is None
            else tuple(Overlap(f"t{number}", name, distance) for name in inputs)
        )
        self.steps.append(
            Step(f"s{number}", tuple(inputs), (f"t{number}",), tuple(temporaries), overlaps)
        )
        return f"t{number}"

    def problem(self, *regions: Region) -> Problem:
        """The problem, in the regions given (one without limit if none)."""
        read = {name for step in self.steps for name in step.reads}
        buffers = tuple(
            b
            if b.name in read or b.kind is not BufferKind.INTERMEDIATE
            else Buffer(b.name, b.size, BufferKind.OUTPUT, b.alignment)
            for b in self.buffers
        )
        return Problem(buffers, tuple(self.steps), regions or (Region("sram"),))


def residual_block(size: int, distance: int | None) -> Problem:
    """A convolution, and a second one that adds the block's input to its result.

    With `distance` the second may write over the input, row by row.
    """
    net = Network()
    x = net.input(size)
    inner = net.operator([x], size)
    net.operator([inner, x], size)
    if distance is not None:
        net.steps[-1] = replace(net.steps[-1], overlaps=(Overlap("t1", x, distance),))
    return net.problem()
