"""Boards: core, compiler flags, memory regions and, where there is one, the QEMU machine.

A board is one TOML file.  Those that come with the package lie in `targets/`; a user's own file
has the same form:

    name = "my-board"
    description = "What it is, in a few words"
    core = "cortex-m7"                      # or "host"
    flags = ["-mcpu=cortex-m7", "-mthumb"]  # of gcc or clang
    features = ["fpu", "dsp"]               # of fpu, fpu-double, dsp, mve
    alignment = 32                          # of an arena, in bytes
    source = "Where these figures are from"
    zephyr = "my_board/soc"                 # Zephyr's name of the board; optional
    arduino = "vendor:package:board"        # Arduino's name (FQBN); optional

    [[ram]]                                 # the first one also holds stack and variables
    name = "dtcm"                           # also part of C names
    origin = 0x20000000
    size = 0x20000                          # bytes
    section = ".bss"                        # linker section of an arena in this region
    zephyr_section = ".noinit"              # the same in a Zephyr build; optional
    source = "Reference manual, table 3"

    [flash]                                 # code and constants; optional
    origin = 0x08000000
    size = 0x100000
    vectors = 0x08000000                    # where the core finds its vectors; default: origin
    boot = "a second-stage loader"          # what a bare image needs besides, to start; optional
    source = "Reference manual, table 3"

    [itcm]                                  # memory that code may be copied to; optional
    origin = 0x00000000
    size = 0x10000
    source = "Reference manual, table 3"

    [qemu]                                  # optional
    machine = "name-of-the-machine"
    counter = 0x40028018                    # address of a 32-bit counter that counts up
    instructions_per_tick = 40              # of that counter, at one instruction a nanosecond
    source = "QEMU's info qtree"
"""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated

from ..boundary.errors import UserError, first_line
from ..boundary.structured import Malformed, between, structured
from ..boundary.whole_file import whole_file
from .board_folders import board_files

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FEATURES = ("fpu", "fpu-double", "dsp", "mve")

ONE_PIPE = "one-pipe"  # a feature that follows from the core: one instruction at a time
_ONE_PIPE_CORES = ("cortex-m4", "cortex-m33", "cortex-m35p")

_LARGEST = 1 << 16  # bytes of a description
_END = 1 << 32  # of the addresses that a core has


def _one_line(text: str) -> str:
    return "" if text.isprintable() else "one line, without control characters"


_Line = Annotated[str, _one_line]
_Address = Annotated[int, between(0, _END)]
_Size = Annotated[int, between(1, _END)]


@dataclass(frozen=True)
class Ram:
    """A region of memory that can hold an arena."""

    name: _Line
    origin: _Address
    size: _Size  # bytes
    section: _Line  # linker section of an arena in this region
    source: _Line
    zephyr_section: _Line = ""  # the same in a Zephyr build; "" if Zephyr has none there

    def problems(self, place: str) -> Iterator[str]:
        """What is wrong with the names, and with where it lies."""
        if self.name and not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", self.name):
            yield (f"'{self.name}' is no name of a region: use lower-case letters, digits and _")
        for section in filter(None, (self.section, self.zephyr_section)):
            if not re.fullmatch(r"[\w.$-]+", section):
                yield f"'{section}' is no name of a linker section"
        yield from _beyond(self, place)


@dataclass(frozen=True)
class Flash:
    """Memory of code and constants."""

    origin: _Address
    size: _Size  # bytes
    vectors: _Address  # address of the vector table after reset
    source: _Line
    boot: _Line = ""  # what an image needs besides its vectors, to be started after reset

    def problems(self, place: str) -> Iterator[str]:
        """What is wrong with where it lies."""
        return _beyond(self, place)


@dataclass(frozen=True)
class Itcm:
    """Memory of instructions next to the core, which start-up code fills from flash."""

    origin: _Address
    size: _Size  # bytes
    source: _Line

    def problems(self, place: str) -> Iterator[str]:
        """What is wrong with where it lies."""
        return _beyond(self, place)


def _beyond(memory: Ram | Flash | Itcm, place: str) -> Iterator[str]:
    """Complains of a memory that no address can reach to its end."""
    if memory.origin + memory.size > _END:
        yield f"'{place}size' leads beyond the last address, {_END - 1:#x}"


@dataclass(frozen=True)
class QemuMachine:
    """How QEMU emulates the board."""

    machine: _Line
    counter: _Address  # of a 32-bit counter that counts up
    instructions_per_tick: _Size  # of that counter, with `-icount shift=0`
    source: _Line


@dataclass(frozen=True)
class Board:
    """What compiler, planner and runners need to know of a board.

    The first region of `ram` also holds the stack and the application's variables; `ram` is empty
    and `flash` is None for the host, whose memory is not described.
    """

    name: _Line
    description: _Line
    core: _Line  # "cortex-m4", …, or "host"
    flags: tuple[_Line, ...]  # of gcc or clang
    features: frozenset[_Line]  # some of FEATURES
    alignment: _Size  # of an arena, in bytes
    source: _Line
    ram: tuple[Ram, ...] = ()
    flash: Flash | None = None
    itcm: Itcm | None = None
    qemu: QemuMachine | None = None
    zephyr: _Line = ""  # Zephyr's name of the board; "" if it has none
    arduino: _Line = ""  # Arduino's fully qualified board name; "" if it has none

    def problems(self, place: str) -> Iterator[str]:
        """What is wrong with fields together."""
        if self.alignment & (self.alignment - 1):
            yield "'alignment' must be a power of two"
        for feature in sorted(self.features - set(FEATURES)):
            yield f"'features' has '{feature}', which is none of {', '.join(FEATURES)}"
        names = [region.name for region in self.ram if region.name]
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield f"two regions of 'ram' are named '{name}'"
        yield from self._shared_addresses()
        smallest = min((region.size for region in self.ram if region.size), default=_END)
        if self.alignment > smallest:
            yield f"'alignment' is larger than a region of 'ram', which has {smallest:,} bytes"
        if self.core != "host" and not self.ram:
            yield "'ram' needs at least one region"
        if self.qemu and not self.flash:
            yield "'flash' is missing, which a board with 'qemu' needs"

    def _shared_addresses(self) -> Iterator[str]:
        """Complains of memories for data that lie in one another: arenas there would, too."""
        memories: list[tuple[str, Ram | Flash]] = [
            (f"ram[{index}]", region) for index, region in enumerate(self.ram)
        ]
        memories += [("flash", self.flash)] if self.flash else []
        memories.sort(key=lambda named: named[1].origin)
        for (below, first), (above, second) in pairwise(memories):
            if first.size > 0 and first.origin + first.size > second.origin:
                yield f"'{above}' begins inside '{below}', at {second.origin:#x}"

    @property
    def kernel_features(self) -> frozenset[str]:
        """The features, and what kernels need to know of the core besides."""
        return self.features | ({ONE_PIPE} if self.core in _ONE_PIPE_CORES else set())

    @property
    def ram_bytes(self) -> int:
        """Of all regions together."""
        return sum(region.size for region in self.ram)

    @property
    def flash_bytes(self) -> int:
        return self.flash.size if self.flash else 0


def list_boards() -> list[str]:
    """The names of all known boards, sorted: the package's, plug-ins', ``DERO_TVM_BOARDS``'."""
    return sorted(board_files())


def load_board(name_or_path: str | Path) -> Board:
    """The board of that name, or the one described in the TOML file at that path.

    Raises UserError if there is no such board or file, or if the file is not of the right form.
    """
    text = str(name_or_path)
    if isinstance(name_or_path, Path) or text.endswith(".toml"):
        path = Path(text)
        if not path.is_file():
            raise UserError(f"There is no board description {path}.")
        return _read(path)
    known = board_files()
    if text not in known:
        close = difflib.get_close_matches(text, known, n=3, cutoff=0.5)
        meant = f"did you mean {' or '.join(close)}? " if close else ""
        raise UserError(
            f"Unknown board '{text}': {meant}`tvmc boards` lists those known; the path of a .toml "
            "file describes another."
        )
    return _read(known[text])


def _read(path: Path) -> Board:
    try:
        data = tomllib.loads(whole_file(path, _LARGEST).decode())
    except ValueError as error:
        raise UserError(f"{path} is not a TOML file: {first_line(error)}.") from None
    except RecursionError:
        raise UserError(f"{path} is not a TOML file: it is too deeply nested.") from None
    flash = data.get("flash")
    if isinstance(flash, dict):  # it begins with the vectors, if nothing else is said
        origin = flash.get("origin")
        flash.setdefault("vectors", origin if type(origin) is int else 0)
    try:
        return structured(Board, data)
    except Malformed as error:
        raise UserError(f"Board description {path}: {error}.") from None
