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

    [qemu]                                  # optional
    machine = "name-of-the-machine"
    counter = 0x40028018                    # address of a 32-bit counter that counts up
    instructions_per_tick = 40              # of that counter, at one instruction a nanosecond
    source = "QEMU's info qtree"
"""

from __future__ import annotations

import difflib
import importlib.resources
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ..boundary.errors import UserError, first_line
from ..boundary.whole_file import whole_file

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FEATURES = ("fpu", "fpu-double", "dsp", "mve")

_LARGEST = 1 << 16  # bytes of a description
_END = 1 << 32  # of the addresses that a core has

_T = TypeVar("_T")


@dataclass(frozen=True)
class Ram:
    """A region of memory that can hold an arena."""

    name: str
    origin: int  # address
    size: int  # bytes
    section: str  # linker section of an arena in this region
    source: str
    zephyr_section: str = ""  # the same in a Zephyr build; "" if Zephyr has none there


@dataclass(frozen=True)
class Flash:
    """Memory of code and constants."""

    origin: int  # address
    size: int  # bytes
    vectors: int  # address of the vector table after reset
    source: str
    boot: str = ""  # what an image needs besides its vectors, to be started after reset


@dataclass(frozen=True)
class QemuMachine:
    """How QEMU emulates the board."""

    machine: str
    counter: int  # address of a 32-bit counter that counts up
    instructions_per_tick: int  # of that counter, with `-icount shift=0`
    source: str


@dataclass(frozen=True)
class Board:
    """What compiler, planner and runners need to know of a board.

    The first region of `ram` also holds the stack and the application's variables; `ram` is empty
    and `flash` is None for the host, whose memory is not described.
    """

    name: str
    description: str
    core: str  # "cortex-m4", …, or "host"
    flags: tuple[str, ...]  # of gcc or clang
    features: frozenset[str]  # some of FEATURES
    alignment: int  # of an arena, in bytes
    source: str
    ram: tuple[Ram, ...] = ()
    flash: Flash | None = None
    qemu: QemuMachine | None = None
    zephyr: str = ""  # Zephyr's name of the board; "" if it has none
    arduino: str = ""  # Arduino's fully qualified board name; "" if it has none

    @property
    def ram_bytes(self) -> int:
        """Of all regions together."""
        return sum(region.size for region in self.ram)

    @property
    def flash_bytes(self) -> int:
        return self.flash.size if self.flash else 0


def targets_folder() -> Path:
    """The folder of board descriptions and C templates: installed, or at the checkout's root."""
    try:
        # A file of the folder, as the folder itself is a namespace package without one path.
        probe = importlib.resources.files("dero_tvm.targets") / "host.toml"
        return Path(str(probe)).parent
    except ModuleNotFoundError:
        return Path(__file__).resolve().parent.parent / "targets"


def list_boards() -> list[str]:
    """The names of the boards that come with the package, sorted."""
    return sorted(path.stem for path in targets_folder().glob("*.toml"))


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
    if text not in list_boards():
        close = difflib.get_close_matches(text, list_boards(), n=3, cutoff=0.5)
        meant = f"did you mean {' or '.join(close)}? " if close else ""
        raise UserError(
            f"Unknown board '{text}': {meant}`tvmc boards` lists those known; the path of a .toml "
            "file describes another."
        )
    return _read(targets_folder() / f"{text}.toml")


def _read(path: Path) -> Board:
    try:
        data = tomllib.loads(whole_file(path, _LARGEST).decode())
    except ValueError as error:
        raise UserError(f"{path} is not a TOML file: {first_line(error)}.") from None
    except RecursionError:
        raise UserError(f"{path} is not a TOML file: it is too deeply nested.") from None
    problems: list[str] = []
    board = _board(_Table(data, "", problems))
    if problems:
        raise UserError(f"Board description {path}: {'; '.join(problems)}.")
    return board


class _Table:
    """A TOML table that is read key by key; `problems` collects what is wrong with it."""

    def __init__(self, data: dict[str, Any], prefix: str, problems: list[str]) -> None:
        self._data = data
        self._prefix = prefix
        self._problems = problems
        self._read: set[str] = set()

    def problem(self, text: str) -> None:
        self._problems.append(text)

    def _get(self, key: str, kind: type[_T], description: str, default: _T | None) -> _T:
        self._read.add(key)
        if key not in self._data:
            if default is None:
                self.problem(f"'{self._prefix}{key}' is missing")
            return kind() if default is None else default
        value = self._data[key]
        # TOML's true is an int to Python, but not to whoever wrote `size = true`.
        if not isinstance(value, kind) or isinstance(value, bool):
            self.problem(f"'{self._prefix}{key}' must be {description}")
            return kind()
        return value

    def text(self, key: str, default: str | None = None) -> str:
        value = self._get(key, str, "a string", default)
        if not value.isprintable():
            self.problem(f"'{self._prefix}{key}' must be one line, without control characters")
            return ""
        return value

    def number(self, key: str, *, least: int = 0, default: int | None = None) -> int:
        value = self._get(key, int, "an integer", default)
        if isinstance(self._data.get(key), int) and value < least:
            self.problem(f"'{self._prefix}{key}' must be at least {least}")
        if value > _END:
            self.problem(f"'{self._prefix}{key}' must be at most {_END}")
            return least
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        values = self._get(key, list, "a list of strings", None)
        if not all(isinstance(value, str) and value.isprintable() for value in values):
            self.problem(f"'{self._prefix}{key}' must be a list of strings")
            return ()
        return tuple(values)

    def table(self, key: str) -> _Table | None:
        self._read.add(key)
        if key not in self._data:
            return None
        data = self._get(key, dict, "a table", None)
        return _Table(data, f"{self._prefix}{key}.", self._problems)

    def tables(self, key: str) -> list[_Table]:
        values = self._get(key, list, "an array of tables", [])
        if not all(isinstance(value, dict) for value in values):
            self.problem(f"'{self._prefix}{key}' must be an array of tables")
            return []
        return [
            _Table(value, f"{self._prefix}{key}[{index}].", self._problems)
            for index, value in enumerate(values)
        ]

    def inside(self, origin: int, size: int) -> None:
        """Complain of a memory that no address can reach to its end."""
        if origin + size > _END:
            self.problem(f"'{self._prefix}size' leads beyond the last address, {_END - 1:#x}")

    def finish(self) -> None:
        """Complain of keys that nobody read: they are misspelt."""
        for key in sorted(self._data.keys() - self._read):
            self.problem(f"'{self._prefix}{key}' is not a known field")


def _board(table: _Table) -> Board:
    alignment = table.number("alignment", least=1)
    if alignment & (alignment - 1):
        table.problem("'alignment' must be a power of two")
    features = table.texts("features")
    for feature in features:
        if feature not in FEATURES:
            table.problem(f"'features' has '{feature}', which is none of {', '.join(FEATURES)}")
    flash = table.table("flash")
    qemu = table.table("qemu")
    board = Board(
        name=table.text("name"),
        description=table.text("description"),
        core=table.text("core"),
        flags=table.texts("flags"),
        features=frozenset(features),
        alignment=alignment,
        source=table.text("source"),
        ram=tuple(_ram(region) for region in table.tables("ram")),
        flash=_flash(flash) if flash else None,
        qemu=_qemu(qemu) if qemu else None,
        zephyr=table.text("zephyr", ""),
        arduino=table.text("arduino", ""),
    )
    table.finish()
    names = [region.name for region in board.ram]
    for name in sorted({name for name in names if names.count(name) > 1}):
        table.problem(f"two regions of 'ram' are named '{name}'")
    if board.core != "host" and not board.ram:
        table.problem("'ram' needs at least one region")
    if board.qemu and not board.flash:
        table.problem("'flash' is missing, which a board with 'qemu' needs")
    return board


def _ram(table: _Table) -> Ram:
    name = table.text("name")
    if name and not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name):
        table.problem(f"'{name}' is no name of a region: use lower-case letters, digits and _")
    section = table.text("section")
    zephyr_section = table.text("zephyr_section", "")
    for found in (section, zephyr_section):
        if found and not re.fullmatch(r"[\w.$-]+", found):
            table.problem(f"'{found}' is no name of a linker section")
    ram = Ram(
        name=name,
        origin=table.number("origin"),
        size=table.number("size", least=1),
        section=section,
        source=table.text("source"),
        zephyr_section=zephyr_section,
    )
    table.inside(ram.origin, ram.size)
    table.finish()
    return ram


def _flash(table: _Table) -> Flash:
    origin = table.number("origin")
    flash = Flash(
        origin=origin,
        size=table.number("size", least=1),
        vectors=table.number("vectors", default=origin),
        source=table.text("source"),
        boot=table.text("boot", ""),
    )
    table.inside(flash.origin, flash.size)
    table.finish()
    return flash


def _qemu(table: _Table) -> QemuMachine:
    machine = QemuMachine(
        machine=table.text("machine"),
        counter=table.number("counter"),
        instructions_per_tick=table.number("instructions_per_tick", least=1),
        source=table.text("source"),
    )
    table.finish()
    return machine
