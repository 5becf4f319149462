"""The C file that connects the test program in targets/harness to one model.

It defines the model's arenas, which the model only declares when it is compiled with
-DTVMGEN_<NAME>_CALLER_WORKSPACE, in the middle of larger arrays:

    guard | arena | guard
          ^ tvmgen_<name>_workspace

C has no name for an address within an array, so an assembler directive gives it that name; gcc
and clang pass it through unchanged on all our targets.
"""

from __future__ import annotations

from collections.abc import Mapping

from .port_tables import port_tables, size_checks
from .unpacked_archive import Archive, workspace_symbols

_SMALLEST_GUARD = 64  # bytes: a row of a small feature map, two vectors of MVE


def guard_bytes(alignment: int) -> int:
    """Size of each guard, which keeps the arena behind it aligned."""
    return max(_SMALLEST_GUARD, alignment)


def binding_source(
    archive: Archive, *, alignment: int, sections: Mapping[str, str], copy_io: bool
) -> str:
    """C source of the binding.

    `sections` has the linker section of each region's arena; regions that it lacks are left to
    the compiler.  With `copy_io`, or if the model has no place for them, inputs and outputs are
    arrays outside the arena; otherwise they are written and read where the model keeps them.
    """
    name = archive.name
    parts = [
        f'#include "tvmgen_{name}.h"\n\n#include <stddef.h>\n#include <string.h>\n\n'
        '#include "harness.h"\n\n'
        "#define TEXT_OF(macro) TEXT(macro)\n#define TEXT(text) #text\n"
        "/* Some systems prefix the names of C symbols. */\n"
        "#define SYMBOL(name) TEXT_OF(__USER_LABEL_PREFIX__) name\n"
    ]
    symbols = workspace_symbols(archive)
    for region in archive.arena_bytes:
        parts.append(_arena(symbols[region], alignment, sections.get(region)))
    parts.append(size_checks(archive))
    entries = "".join(
        f"    {{{symbols[region]}_guarded, sizeof {symbols[region]}}},\n"
        for region in archive.arena_bytes
    )
    if not entries:
        entries = "    {0, 0},\n"  # C has no empty arrays
    parts.append(
        f"const struct harness_arena harness_arenas[] = {{\n{entries}}};\n"
        f"const uint32_t harness_arena_count = {len(archive.arena_bytes)};\n"
    )
    parts.append(
        "#ifdef TVMGEN_PROFILE\n"
        f"uint64_t* const harness_profile = tvmgen_{name}_profile;\n"
        f"const uint32_t harness_step_count = TVMGEN_{name.upper()}_STEPS;\n"
        "#else\nuint64_t* const harness_profile = NULL;\n"
        "const uint32_t harness_step_count = 0;\n#endif\n"
        f"#if defined(TVMGEN_PROFILE) && TVMGEN_{name.upper()}_OPERATORS > 0\n"
        f"uint64_t* const harness_operator_profile = tvmgen_{name}_operator_profile;\n"
        f"const uint32_t harness_operator_count = TVMGEN_{name.upper()}_OPERATORS;\n"
        "#else\nuint64_t* const harness_operator_profile = NULL;\n"
        "const uint32_t harness_operator_count = 0;\n#endif\n"
    )
    parts.append(port_tables(archive, "harness", copy_io=copy_io, named=False))
    return "\n".join(parts)


def _arena(symbol: str, alignment: int, section: str | None) -> str:
    guard = guard_bytes(alignment)
    attributes = f"aligned({guard}), used"
    if section:
        attributes += f', section("{section}")'
    return (
        f"__attribute__(({attributes})) uint8_t {symbol}_guarded["
        f"{guard} + sizeof {symbol} + {guard}];\n"
        f'__asm__(".globl " SYMBOL("{symbol}") "\\n\\t"\n'
        f'        ".set " SYMBOL("{symbol}") ", " SYMBOL("{symbol}_guarded") " + {guard}");\n'
    )
