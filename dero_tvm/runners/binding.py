"""The C file that connects the test program in targets/harness to one model.

It defines the model's arenas, which the model only declares when it is compiled with
-DTVMGEN_<NAME>_CALLER_WORKSPACE, in the middle of larger arrays:

    guard | arena | guard
          ^ tvmgen_<name>_workspace

C has no name for an address within an array, so an assembler directive gives it that name; gcc
and clang pass it through unchanged on all our targets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .archive import Archive, Tensor, maps_io, tensor_bytes, workspace_symbols

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
    parts.append(_size_checks(archive))
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
    )
    parts.append(_tensors(name, "input", archive.inputs))
    parts.append(_tensors(name, "output", archive.outputs))
    parts.append(_set_addresses(archive, copy_io))
    parts.append(
        f"int32_t harness_run_model(void) {{\n  return tvmgen_{name}_run(&inputs, &outputs);\n}}\n"
    )
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


def _size_checks(archive: Archive) -> str:
    """The runner trusts the archive's metadata, an application the header: they must agree."""
    sizes = {"WORKSPACE": sum(archive.arena_bytes.values())}
    for tensor in (*archive.inputs, *archive.outputs):
        sizes[tensor.c_name.upper()] = tensor_bytes(tensor)
    return "".join(
        f"_Static_assert(TVMGEN_{archive.name.upper()}_{item}_SIZE == {size},\n"
        '               "header and metadata disagree");\n'
        for item, size in sizes.items()
    )


def _tensors(name: str, kind: str, tensors: Sequence[Tensor]) -> str:
    entries = "".join(f"    {{&{kind}s.{_pointer(t)}, {tensor_bytes(t)}}},\n" for t in tensors)
    return (
        f"static struct tvmgen_{name}_{kind}s {kind}s;\n"
        f"const struct harness_tensor harness_{kind}s[] = {{\n{entries}}};\n"
        f"const uint32_t harness_{kind}_count = {len(tensors)};\n"
    )


def _pointer(tensor: Tensor) -> str:
    """The member that has the address of a tensor's values."""
    return tensor.context if tensor.row_size else tensor.c_name


def _set_addresses(archive: Archive, copy_io: bool) -> str:
    in_place = maps_io(archive) and not copy_io
    parts, assignments = [], []
    if in_place:
        assignments.append(f"  tvmgen_{archive.name}_map_io(&inputs, &outputs);\n")
    for kind, tensors in (("input", archive.inputs), ("output", archive.outputs)):
        for t in tensors:
            if in_place and not t.row_size:
                continue
            array = f"{kind}_{t.c_name}"
            parts.append(
                f"static __attribute__((aligned(16))) uint8_t {array}[{tensor_bytes(t)}];\n"
            )
            assignments.append(f"  {kind}s.{_pointer(t)} = {array};\n")
            if t.row_size:
                parts.append(_row_function(kind, t))
                assignments.append(f"  {kind}s.{t.c_name} = {array}_row;\n")
    return "".join(parts) + "\nvoid harness_set_addresses(void) {\n" + "".join(assignments) + "}\n"


def _row_function(kind: str, tensor: Tensor) -> str:
    """The application's function for one port: it copies a row from or to the array."""
    size = tensor.row_size
    place = f"(uint8_t*)context + (size_t)row * {size}u"
    if kind == "input":
        head, copy = "void* destination", f"memcpy(destination, {place}, {size})"
    else:
        head, copy = "const void* source", f"memcpy({place}, source, {size})"
    return (
        f"static int32_t {kind}_{tensor.c_name}_row(void* context, int32_t row, {head}) {{\n"
        f"  {copy};\n  return 0;\n}}\n"
    )
