"""Cycles of an inference: what ran, by the pipeline's model of each block behind another."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..boards.board import Board, load_board
from ..boundary.errors import UserError
from ..runners.errors import RunError
from ..runners.result import Tensor
from ..runners.unpacked_archive import Archive
from .disassembly import Disassembly, find_disassembler
from .issue_table import IssueTable
from .pipeline import LlvmPipeline
from .taken import TAKEN
from .trace import Block, Trace, Transitions, find_plugin_compiler, functions, trace

ASSUMPTIONS = "no waits for flash or RAM, caches that always hit, branches predicted"


class Pipeline(Protocol):
    """A model of a core."""

    source: str  # what the figures are from

    def cycles(self, sequences: Sequence[Sequence[str]]) -> list[int]:
        """Cycles of each sequence of instructions."""
        ...


@dataclass(frozen=True)
class Estimate:
    """What the core needs for one inference, its memories answering at once."""

    cycles: int
    instructions: int
    source: str  # where the cycles of instructions are from
    functions: Mapping[str, tuple[int, int]]  # cycles and instructions of each, most cycles first


def pipeline_of(core: str) -> Pipeline:
    """The model of a core, "cortex-m7", say.  Raises UserError if there is none."""
    for model in (LlvmPipeline, IssueTable):
        if core in model.CORES:
            return model(core)
    known = ", ".join(sorted([*LlvmPipeline.CORES, *IssueTable.CORES]))
    raise UserError(f"There is no model of the pipeline of {core}; there are those of {known}.")


def why_no_estimate(core: str) -> str | None:
    """Why cycles of `core` cannot be estimated here, as a clause; None: they can."""
    if core not in [*LlvmPipeline.CORES, *IssueTable.CORES]:
        return f"there is no model of the pipeline of {core}"
    try:
        find_plugin_compiler()
        find_disassembler()
        pipeline_of(core).cycles([["nop"]])
    except UserError as error:
        return str(error).rstrip(".")
    except RunError:  # an earlier one does not know an option, or the core
        return "llvm-mca is older than that of LLVM 22: install it (on Debian: apt install llvm-22)"
    return None


def estimate_cycles(
    archive: Archive,
    inputs: Sequence[Mapping[str, Tensor]],
    board: str | Path | Board,
    *,
    flags: Sequence[str] = (),
) -> Estimate:
    """The cycles of an inference of `archive`'s C on an emulated board, the mean over `inputs`.

    flags: further flags of the compiler.

    Raises UserError if a tool is missing or there is no model of the board's core, RunError if the
    program does not compile or run.
    """
    board = board if isinstance(board, Board) else load_board(board)
    pipeline = pipeline_of(board.core)
    with tempfile.TemporaryDirectory(prefix="dero_tvm_cycles_") as folder:
        found = trace(archive, inputs, board, Path(folder), flags=flags)
        return cycles_of(found, Disassembly(found.program, board.core), pipeline)


def step_cycles(
    archive: Archive, inputs: Mapping[str, Tensor], board: Board, steps: int
) -> list[int]:
    """The cycles of each of the first `steps` steps, which run a single operator each.

    Raises what `estimate_cycles` does.
    """
    pipeline = pipeline_of(board.core)
    with tempfile.TemporaryDirectory(prefix="dero_tvm_cycles_") as folder:
        found = trace(archive, [inputs], board, Path(folder), by_steps=True)
        code = Disassembly(found.program, board.core)
        parts = [found.parts[2 * step + 1] for step in range(steps)]
        return [sum(cost.values()) for cost in _costs(parts, code, pipeline)]


def cycles_of(found: Trace, code: Disassembly, pipeline: Pipeline) -> Estimate:
    """The cycles of what a trace has."""
    transitions = found.transitions
    (costs,) = _costs([transitions], code, pipeline)
    ranges = sorted((first, end, name) for name, (first, end) in functions(found.program).items())
    cycles: dict[str, int] = defaultdict(int)
    instructions: dict[str, int] = defaultdict(int)
    for pair, times in transitions.items():
        name = _function(ranges, pair[1])
        cycles[name] += costs[pair]
        instructions[name] += pair[1].instructions * times
    n = found.inferences
    return Estimate(
        cycles=round(sum(cycles.values()) / n),
        instructions=found.instructions,
        source=pipeline.source,
        functions={
            name: (round(cycles[name] / n), round(instructions[name] / n))
            for name in sorted(cycles, key=lambda name: -cycles[name])
        },
    )


def _costs(
    parts: Sequence[Transitions], code: Disassembly, pipeline: Pipeline
) -> list[dict[tuple[Block | None, Block], int]]:
    """The cycles of each transition of each part, all its times together."""
    sequences: dict[tuple[Block | None, Block], tuple[tuple[str, ...], tuple[str, ...]]] = {}
    for before, block in {pair: None for part in parts for pair in part}:
        first = code.instructions(before) if before else []
        taken = before is not None and code.end(before) != block.address
        joint = [*first[:-1], f"{first[-1]} {TAKEN}"] if taken else first
        sequences[before, block] = (tuple(first), (*joint, *code.instructions(block)))
    every = [sequence for two in sequences.values() for sequence in two]
    distinct = [sequence for sequence in dict.fromkeys(every) if sequence]
    known = dict(zip(distinct, pipeline.cycles(distinct), strict=True)) | {(): 0}
    added = {pair: known[both] - known[alone] for pair, (alone, both) in sequences.items()}
    return [{pair: added[pair] * times for pair, times in part.items()} for part in parts]


def _function(ranges: Sequence[tuple[int, int, str]], block: Block) -> str:
    for first, end, name in ranges:
        if first <= block.address < end:
            return name
    return "?"
