"""Builds the program that runs a model on a bare board: memory layout, linker script, image."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..boards.board import Board, Flash
from ..boards.board_folders import targets_folder
from ..boundary.errors import UserError
from .binding import binding_source, guard_bytes
from .errors import RunError
from .process import build, compile_objects, find_tool
from .unpacked_archive import Archive
from .workspace import write_archive

PACKAGES = "gcc-arm-none-eabi libnewlib-arm-none-eabi"
MAIN_STACK = 1024  # bytes, of the test program and of fault handlers
_VECTORS_SIZE = 64

# Functions that are compiled into the section .itcm, and what start-up code copies there.
_CODE_IN_ITCM = """\
  .itcm : ALIGN(16)
  {
    itcm_start = .;
    *(.itcm .itcm.*)
    . = ALIGN(4);
    itcm_end = .;
  } > itcm AT > flash
  itcm_load = LOADADDR(.itcm);"""
_CODE_IN_FLASH = """\
  itcm_load = 0;
  itcm_start = 0;
  itcm_end = 0;"""


@dataclass(frozen=True)
class Image:
    """A linked program and the model's part of it."""

    program: Path
    model_objects: list[Path]
    callbacks: Path | None = None  # frames of the functions that a model may call by pointers


def find_cross_compiler() -> str:
    """The path of the compiler for Cortex-M; UserError if it is not installed."""
    return find_tool(["arm-none-eabi-gcc"], PACKAGES)


def place_arenas(
    archive: Archive, board: Board, *, reserve: int, guards: int = 0
) -> dict[str, int]:
    """The index in `board.ram` for each of the archive's arenas.

    An arena lies in the board's region of its name.  A single arena whose name is none of the
    board's lies in the first region that has room for it and `guards` bytes around it; of the
    first region, `reserve` bytes are left to stack and variables.
    """
    known = {region.name: index for index, region in enumerate(board.ram)}
    free = [region.size - guards for region in board.ram]
    free[0] -= reserve
    names = list(archive.arena_bytes)
    if len(names) == 1 and names[0] not in known:
        size = archive.arena_bytes[names[0]]
        for index, room in enumerate(free):
            if size <= room:
                return {names[0]: index}
        raise UserError(
            f"The model's arena of {size} bytes does not fit the board {board.name}: its largest "
            f"region has {max(free)} bytes for it, {size - max(free)} too few."
        )
    for name, size in archive.arena_bytes.items():
        if name not in known:
            raise UserError(
                f"The model has an arena in the region '{name}', but the board {board.name} has "
                f"the regions {', '.join(known)}."
            )
        room = free[known[name]]
        if size > room:
            raise UserError(
                f"The model's arena of {size} bytes does not fit the region '{name}' of the board "
                f"{board.name}: there are {room} bytes for it, {size - room} too few."
            )
    return {name: known[name] for name in names}


def build_image(
    archive: Archive,
    board: Board,
    folder: Path,
    *,
    flags: Sequence[str],
    copy_io: bool,
    fill: int,
    model_stack: int,
) -> Image:
    """Compile and link the model with the test program for `board`, in `folder`."""
    if board.flash is None or board.qemu is None:
        raise UserError(f"The board {board.name} has no emulated machine to run a model on.")
    gcc = find_cross_compiler()
    places = place_arenas(
        archive,
        board,
        reserve=model_stack + MAIN_STACK,
        guards=2 * guard_bytes(board.alignment),
    )
    targets = targets_folder()
    sources, includes = write_archive(archive, folder)
    binding = folder / "binding.c"
    sections = {name: f".bss.arena_{index}" for name, index in places.items()}
    binding.write_text(
        binding_source(archive, alignment=board.alignment, sections=sections, copy_io=copy_io)
    )
    script = folder / "link.ld"
    template = (targets / "baremetal" / "link.ld.in").read_text()
    script.write_text(linker_script(template, board, board.flash, places, model_stack=model_stack))
    command = [
        gcc,
        *("-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-fstack-usage"),
        *board.flags,
        f"-DTVMGEN_{archive.name.upper()}_CALLER_WORKSPACE",
        *(f"-I{include}" for include in includes),
        *flags,
    ]
    objects = compile_objects(command, sources, folder)
    program = folder / "image.elf"
    link = [
        *command,
        f"-I{targets / 'harness'}",
        f"-I{targets / 'baremetal'}",
        f"-DHARNESS_GUARD_BYTES={guard_bytes(board.alignment)}",
        f"-DHARNESS_FILL={fill}",
        f"-DPLATFORM_COUNTER={board.qemu.counter:#x}u",
        str(binding),
        str(targets / "harness" / "harness.c"),
        *(str(path) for path in sorted((targets / "baremetal").glob("*.c"))),
        *map(str, objects),
        "-nostartfiles",
        f"-Wl,-T,{script}",
        "-lm",
        *("-o", str(program)),
    ]
    try:
        build(link, folder)
    except RunError as error:
        raise _explain_overflow(error.details, board) or error from None
    return Image(program, objects, folder / f"{program.name}-binding.su")


def linker_script(
    template: str,
    board: Board,
    flash: Flash,
    places: Mapping[str, int],
    *,
    model_stack: int,
    main_stack: int = MAIN_STACK,
) -> str:
    """The linker script: `template` with the board's memory and a section for each arena.

    A `model_stack` beside the main one is for programs that measure it; 0: there is none.
    """
    memory = [f"  flash (rx) : ORIGIN = {flash.origin:#x}, LENGTH = {flash.size}"]
    if flash.vectors != flash.origin:
        memory.append(f"  vectors (rx) : ORIGIN = {flash.vectors:#x}, LENGTH = {_VECTORS_SIZE}")
    memory += [
        f"  ram_{index} (rwx) : ORIGIN = {region.origin:#x}, LENGTH = {region.size}"
        for index, region in enumerate(board.ram)
    ]
    if board.itcm is not None:
        memory.append(f"  itcm (rwx) : ORIGIN = {board.itcm.origin:#x}, LENGTH = {board.itcm.size}")
    arenas = [
        f"  .arena_{index} (NOLOAD) : {{ *(.bss.arena_{index}) }} > ram_{index}"
        for index in sorted(set(places.values()))
    ]
    values = {
        "MEMORY": "\n".join(memory),
        "VECTORS": "flash" if flash.vectors == flash.origin else "vectors",
        "ITCM": _CODE_IN_FLASH if board.itcm is None else _CODE_IN_ITCM,
        "MODEL_STACK": str(model_stack),
        "MAIN_STACK": str(main_stack),
        "ARENAS": "\n".join(arenas),
    }
    return re.sub(r"@(\w+)@", lambda match: values[match[1]], template)


def _explain_overflow(messages: str, board: Board) -> UserError | None:
    """What the linker says of full regions, in terms of the board."""
    overflows = dict(re.findall(r"region [`'](\w+)' overflowed by (\d+) bytes", messages))
    if not overflows:
        return None
    parts = []
    for region, excess in overflows.items():
        if region.startswith("ram_"):
            index = int(region.removeprefix("ram_"))
            where, size = f"RAM region '{board.ram[index].name}'", board.ram[index].size
        elif region == "itcm":
            where, size = "ITCM", board.itcm.size if board.itcm else 0
        else:
            where, size = "flash", board.flash.size if board.flash else 0
        parts.append(f"its {where} of {size} bytes is {excess} bytes too small")
    return UserError(
        f"The model with its test program does not fit the board {board.name}: {'; '.join(parts)}."
    )
