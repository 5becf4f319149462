"""A Zephyr application, with the network as a module of its own."""

from __future__ import annotations

from dero_tvm.boundary.errors import UserError

from .network_source import network_source
from .order import Order, listed, model_files, protocol_files
from .templates import filled, text_of

_MAIN = ".noinit"  # the section of Zephyr's main memory that is not cleared


def zephyr_files(order: Order, folder: str) -> dict[str, str | bytes]:
    """The project's files by path.

    Raises UserError if Zephyr does not know the board, or has no linker section in a region that
    an arena is planned for.
    """
    board = order.board
    if not board.zephyr:
        raise UserError(
            f"Zephyr's name of the board {board.name} is not known: give its TOML file a 'zephyr' "
            "field, or choose another board (tvmc boards)"
        )
    sections = dict.fromkeys(order.archive.arena_bytes, _MAIN)
    for arena, region in order.regions().items():
        if not region.zephyr_section:
            raise UserError(
                f"the arena of {order.archive.arena_bytes[arena]:,} bytes lies in the region "
                f"'{region.name}' of {board.name}, where Zephyr has no linker section that is "
                "known: compile the model smaller (--dero), or give the region in the board's "
                "TOML file a 'zephyr_section'"
            )
        sections[arena] = region.zephyr_section
    sources = order.archive.c_sources()
    needs_math = any(b"<math.h>" in text for text in sources.values())
    values = {
        **order.values(),
        "SOURCES": listed(sources, "src/"),
        "FPU": "CONFIG_FPU=y\n" if "fpu" in board.features else "",
        "LIBC": "CONFIG_REQUIRES_FULL_LIBC=y\n" if needs_math else "",
    }
    return {
        "CMakeLists.txt": filled("projects/zephyr/CMakeLists.txt.in", values),
        "Kconfig": text_of("projects/zephyr/Kconfig"),
        "README.md": filled("projects/zephyr/README.md.in", values),
        "prj.conf": filled("projects/zephyr/prj.conf.in", values),
        "src/main.c": text_of("projects/zephyr/src/main.c"),
        "src/network.c": network_source(order.archive, sections, order.alignment),
        **protocol_files("src"),
        "model/CMakeLists.txt": filled("projects/zephyr/model/CMakeLists.txt.in", values),
        "model/Kconfig": filled("projects/zephyr/model/Kconfig.in", values),
        "model/zephyr/module.yml": filled("projects/zephyr/model/zephyr/module.yml.in", values),
        **model_files(order.archive, "model/src", "model/include"),
    }
