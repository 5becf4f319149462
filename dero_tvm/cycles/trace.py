"""Which blocks of instructions a model runs in QEMU, and behind which other one, and how often."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ..boards.board import Board
from ..boards.board_folders import targets_folder
from ..boundary.errors import UserError
from ..runners.baremetal import build_image
from ..runners.errors import RunError
from ..runners.exchange import pack_inputs
from ..runners.process import MORE_TIME, build, find_tool, output_of, run
from ..runners.qemu import emulator_command, find_emulator
from ..runners.result import Tensor
from ..runners.unpacked_archive import Archive

_STACK = 8192  # bytes, of the model
_MARK = "trace_mark"  # in targets/trace/mark.h
_SYMBOL = re.compile(r"^([0-9a-f]+) ([0-9a-f]+) [tTwW] (\S+)$", re.MULTILINE)


class Block(NamedTuple):
    """Instructions that run one after another."""

    address: int
    instructions: int


Transitions = Mapping[tuple[Block | None, Block], int]
"""How often the second of two blocks ran behind the first; None: nothing ran before."""


@dataclass(frozen=True)
class Trace:
    """What ran in `program`, an ELF file, during `inferences` inferences.

    parts: by their numbers; part 0 is what ran before the first step began.  Traced by steps, each
        of them has two numbers, 2 s + 1 for what step s ran and 2 s + 2 for what came behind it.
    """

    program: Path
    inferences: int
    parts: Mapping[int, Transitions]

    @property
    def transitions(self) -> Transitions:
        """Of all parts."""
        found: Counter[tuple[Block | None, Block]] = Counter()
        for part in self.parts.values():
            found.update(part)
        return found

    @property
    def instructions(self) -> int:
        """Of one inference, on average."""
        total = sum(block.instructions * n for (_, block), n in self.transitions.items())
        return round(total / self.inferences)


def trace(
    archive: Archive,
    inputs: Sequence[Mapping[str, Tensor]],
    board: Board,
    folder: Path,
    *,
    flags: Sequence[str] = (),
    by_steps: bool = False,
    time_limit: float = 600.0,
) -> Trace:
    """Run one inference for each of `inputs` in QEMU; the program stays in `folder`.

    by_steps: divide what runs by the network's steps, all of which run a single operator.

    Raises UserError if a tool is missing, RunError if the program does not compile or run.
    """
    if board.qemu is None:
        raise UserError(f"The board {board.name} has no [qemu] table, so QEMU cannot run it.")
    (folder / "inputs.bin").write_bytes(pack_inputs(archive, inputs))
    plugin = _build_plugin(folder)
    if by_steps:
        header = targets_folder() / "trace" / "mark.h"
        flags = (*flags, f"-DTVMGEN_PROFILE={_MARK}()", f'-DTVMGEN_PROFILE_HEADER="{header}"')
    image = build_image(
        archive,
        board,
        folder,
        flags=flags,
        copy_io=False,
        fill=0,
        model_stack=_STACK,
    )
    symbols = functions(image.program)
    begin, _ = symbols["harness_run_model"]
    stop, end = symbols["call_on_stack"]
    result = folder / "transitions.txt"
    options = f"{plugin},start={begin:#x},stop={stop:#x},end={end:#x},output={result}"
    if by_steps:
        options += f",mark={symbols[_MARK][0]:#x}"
    command = [*emulator_command(find_emulator(), board.qemu, image.program), "-plugin", options]
    completed = run(command, folder, time_limit=time_limit, remedy=MORE_TIME)
    if completed.status or not result.exists():
        last = completed.messages.strip().splitlines()[-1:] or ["no message"]
        raise RunError(f"QEMU ended with status {completed.status}: {last[0]}", completed.messages)
    return Trace(image.program, len(inputs), _parts(result.read_text()))


def functions(program: Path) -> dict[str, tuple[int, int]]:
    """First address and the one behind the last of each function of an ELF file."""
    text = output_of(
        [find_tool(["arm-none-eabi-nm"], "binutils-arm-none-eabi"), "-S", str(program)],
        program.parent,
    )
    return {
        name: (int(address, 16) & ~1, (int(address, 16) & ~1) + int(size, 16))
        for address, size, name in _SYMBOL.findall(text)
    }


def find_plugin_compiler() -> str:
    """The path of a compiler for this machine, which QEMU's plugin needs; UserError without."""
    return find_tool(["gcc", "cc", "clang"], "gcc")


def _build_plugin(folder: Path) -> Path:
    compiler = find_plugin_compiler()
    source = targets_folder() / "trace" / "transitions.c"
    plugin = folder / "transitions.so"
    build([compiler, "-shared", "-fPIC", "-O2", str(source), "-o", str(plugin)], folder)
    return plugin


def _parts(text: str) -> dict[int, dict[tuple[Block | None, Block], int]]:
    found: dict[int, dict[tuple[Block | None, Block], int]] = defaultdict(dict)
    for line in text.splitlines():
        part, address, length, next_address, next_length, times = map(int, line.split())
        before = Block(address, length) if length else None
        found[part][before, Block(next_address, next_length)] = times
    return dict(found)
