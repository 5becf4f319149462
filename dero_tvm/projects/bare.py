"""A CMake project for a bare board: start-up code, linker script, and a program."""

from __future__ import annotations

from dero_tvm.boundary.errors import UserError
from dero_tvm.runners.baremetal import linker_script, place_arenas

from .network_source import network_source
from .order import STACK, Order, listed, model_files, protocol_files
from .templates import filled, text_of

_BOARD_FILES = ("semihosting.c", "semihosting.h", "startup.c")

_IN_ITCM = """
With `-DTVMGEN_IN_ITCM=ON` the network's functions lie in the core's own memory of instructions, the
ITCM of {size:,} bytes, to which start-up code copies them from flash: nothing waits for their
fetches then. Weights stay in flash.
"""


def cmake_files(order: Order, folder: str) -> dict[str, str | bytes]:
    """The project's files by path.

    Raises UserError if the board's flash is not known, or if an image needs more than its vectors
    to be started there.
    """
    board = order.board
    if board.flash is None:
        raise UserError(f"the board {board.name} has no [flash] table in its TOML file")
    if board.flash.boot:
        raise UserError(
            f"{board.name} does not start a bare image: it needs {board.flash.boot}. Create a "
            "zephyr or arduino project instead"
        )
    places = place_arenas(order.archive, board, reserve=STACK)
    template = text_of("baremetal/link.ld.in")
    script = linker_script(
        template.split("\n", 1)[1],  # its first line is about the template
        board,
        board.flash,
        places,
        model_stack=0,
        main_stack=STACK,
    )
    sections = {arena: f".bss.arena_{index}" for arena, index in places.items()}
    qemu = board.qemu
    values = {
        **order.values(),
        "FLAGS": " ".join(board.flags),
        "SOURCES": listed(order.archive.c_sources(), "model/"),
        "QEMU": "`cmake --build build --target run` runs it in QEMU." if qemu else "",
        "MACHINE": qemu.machine if qemu else "",
    }
    # A board without such memory has no option for it either.
    values["ITCM"] = filled("projects/cmake/itcm.cmake.in", values) if board.itcm else ""
    readme = {**values, "ITCM": _IN_ITCM.format(size=board.itcm.size)} if board.itcm else values
    values["RUN"] = filled("projects/cmake/run.cmake.in", values) if qemu else ""
    return {
        "CMakeLists.txt": filled("projects/cmake/CMakeLists.txt.in", values),
        "README.md": filled("projects/cmake/README.md.in", readme),
        "arm-none-eabi.cmake": filled("projects/cmake/arm-none-eabi.cmake.in", values),
        "board/link.ld": script,
        **{f"board/{name}": text_of(f"baremetal/{name}") for name in _BOARD_FILES},
        "src/main.c": text_of("projects/cmake/main.c"),
        "src/network.c": network_source(order.archive, sections, order.alignment),
        **protocol_files("src"),
        **model_files(order.archive, "model", "model"),
    }
