"""What streaming costs in time and in flash, as Markdown tables.

    python benchmarks/streaming_cost.py [--boards BOARD,...] [--stream-input] MODEL ...

Each model is laid out in three ways, with the kernels of each board: every tensor whole; streamed
with rings of rows; streamed with an address for each row.  All run on one random input on the
emulated board.  Instructions are those of one inference; code is the section .text of the generated
C, without weights and C library; tables are those of row addresses and lists of calls, in flash.
The outputs are compared bit by bit, and the guard bytes around the arena are looked at.

With --stream-input the image comes row by row, which whole tensors cannot do.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dero_tvm.aot.archive import ModelArchive
from dero_tvm.aot.program import Program
from dero_tvm.driver.candidates import Candidate
from dero_tvm.driver.dero_levels import Dero
from dero_tvm.driver.generate import generate, program_of
from dero_tvm.driver.prepare import PreparedModel, prepare
from dero_tvm.runners import RunResult, run
from dero_tvm.runners.result import equal_outputs

COLUMNS = ("model", "core", "arena", "rings", "rows")
COLUMNS += ("instructions", "rings", "rows", "rows to rings", "code", "rings", "rows", "tables")


def main() -> None:
    """Print the table, a row as soon as its model has run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL")
    parser.add_argument("--boards", default="mps2-an500,mps3-an547", help="emulated boards")
    parser.add_argument("--stream-input", action="store_true", help="the image row by row")
    arguments = parser.parse_args()
    print("| " + " | ".join(COLUMNS) + " |")
    print("|---|---" + "|---:" * (len(COLUMNS) - 2) + "|", flush=True)
    for path in arguments.models:
        for board in arguments.boards.split(","):
            cells = row(path, board, arguments.stream_input)
            print(f"| {path.stem} | " + " | ".join(cells) + " |", flush=True)


def row(path: Path, board: str, stream_input: bool) -> list[str]:
    """The cells of one model on one board; empty for a layout that there is not."""
    prepared = prepare(
        path, target=board, input_layout="nhwc", integer_io=True, stream_input=stream_input
    )
    layouts = list(_layouts(prepared, stream_input))
    programs = [None if each is None else program_of(prepared, each) for each in layouts]
    results: list[RunResult | None] = [None] * len(layouts)
    for index, layout in enumerate(layouts):
        if layout is not None:
            archive = generate(prepared, layout, None, programs[index])
            results[index] = run(archive, [_inputs(archive)], f"qemu:{board}")
    known = [result for result in results if result is not None]
    if not all(equal_outputs(known[0], result) for result in known[1:]):
        raise SystemExit(f"{path}: the outputs differ")
    if not all(result.guard_ok for result in known):
        raise SystemExit(f"{path}: guard bytes were overwritten")
    counted = [
        result.instructions[0] if result and result.instructions else 0 for result in results
    ]
    cells = [prepared.options.board.core.removeprefix("cortex-").upper()]
    cells += [f"{layout.arena_bytes:,}" if layout else "" for layout in layouts]
    cells += [f"{number:,}" if number else "" for number in counted]
    cells.append(f"x{counted[2] / counted[1]:.4f}" if counted[1] and counted[2] else "")
    cells += [f"{result.model_sections['text']:,}" if result else "" for result in results]
    _, rings, rows = (0 if program is None else _constant_bytes(program) for program in programs)
    return [*cells, f"{rows - rings:,}" if rows else ""]


def _inputs(archive: ModelArchive) -> dict[str, np.ndarray]:
    """A random array for each input, the same for each layout."""
    rng = np.random.default_rng(0)
    return {
        port.name: rng.integers(-128, 128, port.shape).astype(port.dtype)
        if port.dtype == "int8"
        else rng.random(port.shape).astype(port.dtype)
        for port in archive.inputs
    }


def _layouts(prepared: PreparedModel, stream_input: bool) -> Iterator[Candidate | None]:
    """The smallest of each kind: whole tensors, rings, rows."""
    candidates = prepared.candidates()
    yield None if stream_input else min(candidates.of(Dero.NONE), key=_arena)
    streamed = list(candidates.of(Dero.STREAM))
    yield min((each for each in streamed if each.plan.rows is None), key=_arena, default=None)
    yield min((each for each in streamed if each.plan.rows is not None), key=_arena, default=None)


def _arena(candidate: Candidate) -> int:
    return candidate.arena_bytes


def _constant_bytes(program: Program) -> int:
    return sum(array.nbytes for array in program.network.constants.values())


if __name__ == "__main__":
    main()
