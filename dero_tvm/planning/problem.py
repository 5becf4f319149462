"""What memory planning is asked: buffers, the steps that use them, and where they may lie."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class BufferKind(enum.Enum):
    """What a buffer holds for the network."""

    INPUT = "input"
    OUTPUT = "output"
    INTERMEDIATE = "intermediate"
    RING = "ring"  # the rows of an inner tensor of a cascade that are alive at once
    SCRATCH = "scratch"  # what a kernel needs besides its operands
    PATCH = "patch"  # the windows of columns that the operations of a group make for one another
    STATE = "state"  # what lasts from one run to the next, apart from all others


@dataclass(frozen=True)
class Buffer:
    """A contiguous piece of memory that holds one tensor, ring or scratch area."""

    name: str
    size: int  # bytes
    kind: BufferKind = BufferKind.INTERMEDIATE
    alignment: int = 1  # bytes; the address is a multiple of it
    label: str = ""  # what a report calls it: tensor name, shape, type


@dataclass(frozen=True)
class Overlap:
    """The overlap constraint of a step's output and an input that dies in that step.

    The step writes its output from low to high addresses while it reads the input from low to
    high addresses.  With `a` the address of a buffer, sharing is legal if and only if

        a(input) - a(output) >= distance        (bytes)

    so the output never catches up with input rows that are still needed:

        distance = max over rows r of
                   (r + 1) * output_row_bytes - first_needed(r) * input_row_bytes

    An operator that may overwrite row r of its input with row r of its output (an addition, say)
    has distance 0 when rows are equally long: both may lie at the same address.  If the input is
    read again later, the two may not share bytes.

    A `descending` step goes from high to low addresses, and everything is mirrored: what counts
    are the ends of the buffers, and the output's must lie at least `distance` above the input's.
    """

    output: str
    input: str
    distance: int
    descending: bool = False

    def relation(self, output_size: int, input_size: int) -> tuple[str, str, int]:
        """The overlap constraint as ``(lower, upper, least)``: ``a(upper) - a(lower) >= least``."""
        if self.descending:
            return self.input, self.output, self.distance + input_size - output_size
        return self.output, self.input, self.distance


@dataclass(frozen=True)
class Step:
    """One unit of execution: an operator, or a cascade of operators run row by row."""

    name: str
    reads: tuple[str, ...]  # buffers
    writes: tuple[str, ...]
    temporaries: tuple[str, ...] = ()  # rings and scratch, alive during this step alone
    overlaps: tuple[Overlap, ...] = ()


@dataclass(frozen=True)
class Region:
    """A piece of the device's memory."""

    name: str
    size: int | None = None  # bytes; None is unlimited
    section: str = ".bss"  # linker section of its arena


@dataclass(frozen=True)
class Options:
    """What the user may ask of a plan."""

    keep_inputs: bool = False  # inputs still hold their values after the run
    external_io: bool = False  # inputs and outputs lie outside the arena, in the caller's memory
    reorder: bool = True  # search for a better order than the written one
    time_limit: float = 20.0  # seconds, see `budget`


@dataclass(frozen=True)
class Problem:
    """A network as memory planning sees it; `steps` are in written order.

    A buffer is alive from the first step that writes it (an INPUT: from the start) to the last
    step that reads it (an OUTPUT: to the end).  A STATE is alive throughout; steps before the one
    that writes it read what the run before has left.  A buffer may be written by several steps:
    slices of a concatenation in place, for example; it is alive from the first of them.
    """

    buffers: tuple[Buffer, ...]
    steps: tuple[Step, ...]
    regions: tuple[Region, ...] = (Region("sram"),)
