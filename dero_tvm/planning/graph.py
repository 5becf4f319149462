"""A problem indexed for searching: who uses which buffer, and which step must wait for which."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import gcd

from .planning_error import ProblemError
from .problem import Buffer, BufferKind, Options, Problem


@dataclass(frozen=True)
class Graph:
    """Indices, not names; sets of steps are bit masks (bit `s` is step `s` in written order).

    `predecessors[s]` holds the steps that must run before step `s`.
    """

    buffers: tuple[Buffer, ...]
    index: dict[str, int]  # buffer name -> position in `buffers`
    writers: tuple[int, ...]  # per buffer: mask of the steps that write it
    readers: tuple[int, ...]
    holders: tuple[int, ...]  # per buffer: mask of the one step it is a temporary of
    predecessors: tuple[int, ...]  # per step
    successors: tuple[tuple[int, ...], ...]  # per step, ascending


def bits(mask: int) -> Iterable[int]:
    """The positions of the ones in `mask`, ascending."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


def outside_arena(buffer: Buffer, options: Options) -> bool:
    """Whether the buffer is not placed among the others.

    The caller provides its memory, or it has a place of its own (see `persistent`).
    """
    external = options.external_io and buffer.kind in (BufferKind.INPUT, BufferKind.OUTPUT)
    return external or buffer.kind is BufferKind.STATE


def outlives_run(buffer: Buffer, options: Options) -> bool:
    """Whether the buffer's contents must last to the end of the run."""
    kept = options.keep_inputs and buffer.kind is BufferKind.INPUT
    return kept or buffer.kind in (BufferKind.OUTPUT, BufferKind.STATE)


def alignment_unit(problem: Problem, options: Options) -> int:
    """Bytes that every address in the arena is a multiple of; sizes round up to it."""
    return gcd(*(b.alignment for b in problem.buffers if not outside_arena(b, options))) or 1


def round_up(value: int, multiple: int) -> int:
    """The least multiple of `multiple` that is not below `value`."""
    return -(-value // multiple) * multiple


def build_graph(problem: Problem, options: Options) -> Graph:
    """Index `problem`.  Raises ``ProblemError`` where it contradicts itself.

    Among steps that use one buffer, a read waits for every earlier write (in written order) and
    a write waits for every earlier read.  Writes alone do not wait for one another: they fill
    different slices.
    """
    index: dict[str, int] = {}
    for position, buffer in enumerate(problem.buffers):
        if buffer.name in index:
            raise ProblemError(f"two buffers have the name {buffer.name!r}")
        if buffer.size < 0 or buffer.alignment < 1:
            raise ProblemError(
                f"buffer {buffer.name!r} has size {buffer.size} and alignment {buffer.alignment}; "
                "a size is at least 0, an alignment at least 1"
            )
        index[buffer.name] = position
    count = len(problem.buffers)
    writers, readers, holders = [0] * count, [0] * count, [0] * count
    for position, step in enumerate(problem.steps):
        for names, masks in (
            (step.writes, writers),
            (step.reads, readers),
            (step.temporaries, holders),
        ):
            for name in names:
                if name not in index:
                    raise ProblemError(f"step {step.name!r} uses {name!r}, which is no buffer")
                masks[index[name]] |= 1 << position
        for overlap in step.overlaps:
            for name in (overlap.output, overlap.input):
                if name not in (*step.reads, *step.writes, *step.temporaries):
                    raise ProblemError(
                        f"step {step.name!r} has an overlap with {name!r}, which it does not use"
                    )
    for buffer, written, read, held in zip(problem.buffers, writers, readers, holders, strict=True):
        _check_uses(problem, options, buffer, written, read, held)
    predecessors = _predecessors(len(problem.steps), writers, readers)
    successors: list[list[int]] = [[] for _ in problem.steps]
    for step_index, mask in enumerate(predecessors):
        for earlier in bits(mask):
            successors[earlier].append(step_index)
    return Graph(
        problem.buffers,
        index,
        tuple(writers),
        tuple(readers),
        tuple(holders),
        tuple(predecessors),
        tuple(tuple(later) for later in successors),
    )


def _check_uses(
    problem: Problem, options: Options, buffer: Buffer, written: int, read: int, held: int
) -> None:
    name = buffer.name
    if held:
        if held & (held - 1) or written or read or buffer.kind in _IO:
            raise ProblemError(
                f"buffer {name!r} is a temporary, so one step holds it and none reads or writes it"
            )
        return
    if buffer.kind is BufferKind.INPUT:
        if written and options.keep_inputs:
            step = problem.steps[next(iter(bits(written)))].name
            raise ProblemError(f"step {step!r} writes input {name!r}, but inputs are to be kept")
        return
    if buffer.kind is BufferKind.STATE:
        return
    if not written:
        raise ProblemError(f"no step writes buffer {name!r}")
    first_write, first_read = written & -written, read & -read
    if read and first_read <= first_write:
        step = problem.steps[first_read.bit_length() - 1].name
        raise ProblemError(f"step {step!r} reads {name!r} before any step writes it")


_IO = (BufferKind.INPUT, BufferKind.OUTPUT, BufferKind.STATE)


def _predecessors(steps: int, writers: list[int], readers: list[int]) -> list[int]:
    predecessors = [0] * steps
    for written, read in zip(writers, readers, strict=True):
        for reader in bits(read):
            predecessors[reader] |= written & ((1 << reader) - 1)
        for writer in bits(written):
            predecessors[writer] |= read & ((1 << writer) - 1)
    return predecessors
