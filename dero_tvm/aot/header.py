"""The public header of a generated model, with the names that microTVM users know."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dero_tvm.schedule.network import Network, Port

from .names import c_comment, c_identifiers
from .program import Program


@dataclass(frozen=True)
class CPort:
    """An input or output in C: the struct member, its size in bytes, and what it holds."""

    member: str
    bytes: int
    comment: str


@dataclass(frozen=True)
class Interface:
    """The names a generated model shows to the application."""

    prefix: str  # tvmgen_default
    inputs: tuple[CPort, ...]
    outputs: tuple[CPort, ...]
    arenas: tuple[tuple[str, str, int], ...]  # (region, C array, bytes)

    @property
    def macro(self) -> str:
        return self.prefix.upper()


def interface_of(program: Program) -> Interface:
    """Names and sizes of the program's ports and arenas."""
    network = program.network
    prefix = f"tvmgen_{network.name}"
    regions = [region.name for region in program.plan.problem.regions]
    arenas = []
    for region, array in zip(regions, c_identifiers(regions)):
        size = program.plan.arena_bytes.get(region, 0)
        suffix = "" if len(regions) == 1 else f"_{array}"
        if size:
            arenas.append((region, f"{prefix}_workspace{suffix}", size))
    # Members are distinct over both structures, for each has a macro with its size, and
    # WORKSPACE_SIZE is a macro of its own.
    ports = [port.name for port in (*network.inputs, *network.outputs)]
    members = c_identifiers(["workspace", *ports])[1:]
    split = len(network.inputs)
    return Interface(
        prefix,
        tuple(_ports(network, network.inputs, members[:split])),
        tuple(_ports(network, network.outputs, members[split:])),
        tuple(arenas),
    )


def _ports(network: Network, ports: Sequence[Port], members: Sequence[str]) -> Iterator[CPort]:
    for member, port in zip(members, ports):
        spec = network.values[port.value].spec
        shape = "x".join(map(str, spec.shape)) or "scalar"
        yield CPort(member, spec.bytes, c_comment(f"{port.name}: {shape} {spec.dtype}"))


def header(program: Program, interface: Interface) -> str:
    """Text of ``tvmgen_<name>.h``."""
    prefix, macro = interface.prefix, interface.macro
    external = program.plan.options.external_io
    lines = [
        f"#ifndef {macro}_H_",
        f"#define {macro}_H_",
        "",
        "#include <stdint.h>",
        "",
        "#ifdef __cplusplus",
        'extern "C" {',
        "#endif",
        "",
        "/* Bytes of each input and output. */",
    ]
    for port in (*interface.inputs, *interface.outputs):
        lines.append(f"#define {macro}_{port.member.upper()}_SIZE {port.bytes}")
    inside = "" if external else ", inputs and outputs included"
    lines += [
        "",
        f"/* Bytes of all memory that an inference needs besides the stack{inside}. */",
        f"#define {macro}_WORKSPACE_SIZE {program.plan.total_bytes}",
        "",
    ]
    for kind, ports in (("inputs", interface.inputs), ("outputs", interface.outputs)):
        lines.append(f"struct {prefix}_{kind} {{")
        lines += [f"  void *{port.member}; /* {port.comment} */" for port in ports]
        lines += ["};", ""]
    if interface.arenas:
        lines += [
            "/*",
            " * The arena.  With the macro below defined when the library is compiled, the library",
            " * only declares it, and the application defines it where it wants.",
            " */",
            f"#ifndef {macro}_WORKSPACE_ALIGNMENT",
            f"#define {macro}_WORKSPACE_ALIGNMENT 16",
            "#endif",
        ]
        for region, array, size in interface.arenas:
            if len(interface.arenas) > 1:
                lines.append(f"/* region {c_comment(region)} */")
            lines.append(f"#define {array.upper()}_BYTES {size}")
            lines.append(f"extern uint8_t {array}[{array.upper()}_BYTES];")
        lines.append("")
    if not external:
        lines += [
            "/*",
            " * Points the structures at the places inside the arena where inputs and outputs lie.",
            " * An application that fills inputs and reads outputs there saves a copy of each.",
            " */",
            f"void {prefix}_map_io(struct {prefix}_inputs *inputs,",
            f"{' ' * (len(prefix) + 13)}struct {prefix}_outputs *outputs);",
            "",
        ]
    lines += [
        "/* Runs one inference.  Returns 0, or -1 if a pointer is missing. */",
        f"int32_t {prefix}_run(struct {prefix}_inputs *inputs,",
        f"{' ' * (len(prefix) + 13)}struct {prefix}_outputs *outputs);",
        "",
        "#ifdef __cplusplus",
        "}",
        "#endif",
        "",
        f"#endif /* {macro}_H_ */",
        "",
    ]
    return "\n".join(lines)
