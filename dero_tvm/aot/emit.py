"""All files of a generated model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from dero_tvm.boundary.one_at_a_time import one_at_a_time

from .archive import HOST_PROGRAM, INCLUDE, METADATA, PARAMETERS, SOURCE, ModelArchive
from .c_constants import array_names, definition_pieces, words_of
from .c_instrument import checks
from .c_source import c_source
from .c_state import initial_values, packed_states
from .files import LazyFiles, Piece
from .header import Interface, header, interface_of
from .host_program import constant_bytes, constant_pieces, host_module
from .llvm import llvm_ir
from .metadata import metadata
from .param_file import param_file
from .program import Program
from .standard_headers import standard_headers


def emit(
    program: Program, *, target: str, report: Mapping[str, Any], source_ir: str
) -> ModelArchive:
    """Generate the archive.

    `target` is the board's name; `report` is JSON data for the metadata; `source_ir` is the
    rewritten Relax module as text.
    """
    interface = interface_of(program)
    name = program.network.name
    files = {
        f"{INCLUDE}{interface.prefix}.h": header(program, interface),
        f"{SOURCE}{name}_lib1.c": c_source(program, interface),
        "src/relax.txt": source_ir,
    }
    encoded: dict[str, bytes | Callable[[], Iterable[Piece]]] = {
        path: text.encode() for path, text in files.items()
    }
    encoded[f"{SOURCE}{name}_lib0.c"] = lambda: _data_source(program, interface)
    encoded[HOST_PROGRAM] = one_at_a_time(
        lambda: [llvm_ir(host_module(program, interface)).encode()]
    )
    encoded[f"{PARAMETERS}{name}.params"] = lambda: _parameters(program)
    encoded[METADATA] = metadata(program, interface, target=target, report=report)
    return ModelArchive(LazyFiles(encoded))


def _data_source(program: Program, interface: Interface) -> Iterator[bytes]:
    """``<name>_lib0.c``: the arena and the weights, in pieces."""
    macro = f"{interface.macro}_CALLER_WORKSPACE"
    sections = {region.name: region.section for region in program.plan.problem.regions}
    arenas = []
    for region, array, _ in interface.arenas:
        attributes = f"aligned({interface.macro}_WORKSPACE_ALIGNMENT)"
        if sections[region] != ".bss":  # where compilers put it by themselves
            attributes += f', section("{sections[region]}")'
        arenas.append(f"uint8_t {array}[{array.upper()}_BYTES]\n    __attribute__(({attributes}));")
    parts = ["\n".join([f"#ifndef {macro}", *arenas, "#endif"])] if arenas else []
    parts.append(checks(interface))
    arrays = {
        array: program.network.constants[name]
        for name, array in array_names(program, interface.prefix).items()
    }
    arrays |= initial_values(program, interface.prefix)
    includes = [f'#include "{interface.prefix}.h"']
    # Not in the values, which are most of the text.
    words = [*parts, *(words_of(name, array) for name, array in arrays.items())]
    if headers := standard_headers("\n".join(words)):
        includes.append("\n".join(headers))
    yield "\n\n".join([*includes, *parts]).encode()
    for array, values in arrays.items():
        yield b"\n\n"
        yield from definition_pieces(array, values)
    yield b"\n"


def _parameters(program: Program) -> Iterator[Piece]:
    """The file of the host's parameters: all constants, and the initial values of the state."""
    tensors = [("constants", constant_bytes(program), constant_pieces(program))]
    if program.network.states:
        states = packed_states(program)
        tensors.append(("states", states.size, iter([states.tobytes()])))
    return param_file(tensors)
