"""``network.c``: connects the protocol in targets/projects/protocol to one model."""

from __future__ import annotations

from collections.abc import Mapping

from dero_tvm.runners.port_tables import port_tables, size_checks
from dero_tvm.runners.unpacked_archive import Archive, has_state, workspace_symbols


def network_source(
    archive: Archive, sections: Mapping[str, str] | None, alignment: int = 16
) -> str:
    """C source of ``network.c``.

    `sections` has the linker section of each region's arena, which is then defined here, with
    `alignment` in bytes; None leaves the arenas to the model's own library.
    """
    name = archive.name
    parts = [
        "/* Generated: the network's memory and its inputs and outputs. */\n"
        f'#include "network.h"\n\n#include <stddef.h>\n#include <string.h>\n\n'
        f'#include "tvmgen_{name}.h"\n'
    ]
    if sections is not None:
        symbols = workspace_symbols(archive)
        parts += [
            _arena(symbols[region], sections[region], alignment) for region in archive.arena_bytes
        ]
    parts.append(size_checks(archive))
    parts.append(f'const char network_name[] = "{name}";\n')
    parts.append(port_tables(archive, "network", named=True))
    reset = f"  tvmgen_{name}_reset();\n" if has_state(archive) else ""
    parts.append(f"void network_reset(void) {{\n{reset}}}\n")
    return "\n".join(parts)


def _arena(symbol: str, section: str, alignment: int) -> str:
    attributes = f'section("{section}"), aligned({alignment})'
    return f"uint8_t {symbol}[sizeof {symbol}] __attribute__(({attributes}));\n"
