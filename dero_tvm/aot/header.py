"""The public header of a generated model, with the names that microTVM users know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from dero_tvm.schedule.column_groups import recompute_ratio
from dero_tvm.schedule.network import Network, Port
from dero_tvm.schedule.recompute_ratio import described_ratio
from relax_passes.ir.port_quantization import PortQuantization

from ..kernels.float_literals import float_literal
from .names import c_comment, c_identifiers
from .program import Program


@dataclass(frozen=True)
class CPort:
    """An input or output in C: the struct member, its size in bytes, and what it holds.

    With `row_streamed` the member is a function that the application gives, called with the member
    `context`; `row_name` is what macros call a row.  `quantization` is known of some integers.
    """

    member: str
    bytes: int
    comment: str
    row_streamed: bool = False
    rows: int = 1
    row_bytes: int = 0
    context: str = ""
    row_name: str = ""
    quantization: PortQuantization | None = None


@dataclass(frozen=True)
class PortPlace:
    """A pointer that the application gives, in C: where its tensor lies in the arena, if it does,
    and the alignment of an element.
    """

    pointer: str
    place: str
    alignment: int


@dataclass(frozen=True)
class CState:
    """Where what lasts from one inference to the next lies: at the end of an arena."""

    array: str  # of the arena
    offset: int  # bytes
    size: int  # bytes


@dataclass(frozen=True)
class Interface:
    """The names a generated model shows to the application."""

    prefix: str  # tvmgen_default
    inputs: tuple[CPort, ...]
    outputs: tuple[CPort, ...]
    arenas: tuple[tuple[str, str, int], ...]  # (region, C array, bytes)
    external_io: bool = False  # arrays lie in the caller's memory
    state: CState | None = None

    @property
    def macro(self) -> str:
        return self.prefix.upper()

    @property
    def row_streamed(self) -> bool:
        """Whether some input or output is row-streamed."""
        return any(port.row_streamed for port in (*self.inputs, *self.outputs))

    @property
    def maps_io(self) -> bool:
        """Whether there is a function that tells where inputs and outputs lie in the arena."""
        arrays = [port for port in (*self.inputs, *self.outputs) if not port.row_streamed]
        return bool(arrays) and not self.external_io


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
    # WORKSPACE_SIZE and STATE_SIZE are macros of their own.
    taken = ["workspace", *(["state"] if network.states else [])]
    wanted = [*taken]
    for port in (*network.inputs, *network.outputs):
        wanted.append(port.name)
        if port.row_streamed:  # a member and a macro more
            wanted += [f"{port.name}_context", f"{port.name}_row"]
    names = iter(c_identifiers(wanted)[len(taken) :])
    return Interface(
        prefix,
        tuple(_ports(network, network.inputs, names)),
        tuple(_ports(network, network.outputs, names)),
        tuple(arenas),
        program.plan.options.external_io,
        _state(program, {region: array for region, array, _ in arenas}),
    )


def _state(program: Program, arrays: Mapping[str, str]) -> CState | None:
    places = list(program.plan.state_placements.values())
    if not places:
        return None
    offset = min(place.offset for place in places)
    return CState(arrays[places[0].region], offset, program.plan.state_bytes)


def _ports(network: Network, ports: Sequence[Port], names: Iterator[str]) -> Iterator[CPort]:
    for port in ports:
        spec = network.values[port.value].spec
        comment = c_comment(f"{port.name}: {spec.described}")
        member = next(names)
        context, row_name = (next(names), next(names)) if port.row_streamed else ("", "")
        yield CPort(
            member,
            spec.bytes,
            comment,
            port.row_streamed,
            spec.rows,
            spec.row_bytes,
            context,
            row_name,
            port.quantization,
        )


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
        name = f"{macro}_{port.member.upper()}"
        lines.append(f"#define {name}_SIZE {port.bytes}")
        if port.row_streamed:
            lines.append(f"#define {name}_ROWS {port.rows}")
            lines.append(f"#define {macro}_{port.row_name.upper()}_SIZE {port.row_bytes}")
    lines += _quantization(interface)
    inside = "" if external else ", inputs and outputs included"
    if interface.row_streamed and not external:
        inside += ",\n * but for those that the application hands over or takes row by row"
    ratio = recompute_ratio(program.network)
    if ratio != 1:
        inside += f".\n * For that an inference takes {described_ratio(ratio)}"
    lines += [
        "",
        f"/* Bytes of all memory that an inference needs besides the stack{inside}. */",
        f"#define {macro}_WORKSPACE_SIZE {program.plan.total_bytes}",
        "",
    ]
    lines += _state_macros(interface)
    lines += _debugging(interface, len(program.steps), len(program.counted))
    lines += _callback_types(interface)
    for kind, ports in (("input", interface.inputs), ("output", interface.outputs)):
        lines.append(f"struct {prefix}_{kind}s {{")
        for port in ports:
            if port.row_streamed:
                lines.append(f"  {prefix}_{kind}_row_fn {port.member}; /* {port.comment} */")
                lines.append(f"  void *{port.context}; /* for {port.member} */")
            else:
                lines.append(f"  void *{port.member}; /* {port.comment} */")
        if not ports:  # C has no structure without members
            lines.append("  void *none; /* unused: the network takes no input */")
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
            bytes_ = f"({size} + 2 * {macro}_GUARD_BYTES)"
            lines.append(f"#define {array.upper()}_BYTES {bytes_}")
            lines.append(f"extern uint8_t {array}[{array.upper()}_BYTES];")
        lines.append("")
    if interface.maps_io:
        lines += [
            "/*",
            " * Points the structures at the places inside the arena where inputs and outputs lie.",
            " * An application that fills inputs and reads outputs there saves a copy of each.",
            " */",
            f"void {prefix}_map_io(struct {prefix}_inputs *inputs,",
            f"{' ' * (len(prefix) + 13)}struct {prefix}_outputs *outputs);",
            "",
        ]
    lines += _reset(interface)
    codes = "Returns 0, or -1 if a pointer is missing"
    if interface.row_streamed:
        codes += ",\n * or what a function that hands over or takes rows has returned, if not 0"
    lines += [
        f"/* Runs one inference.  {codes}. */",
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


def _state_macros(interface: Interface) -> list[str]:
    if interface.state is None:
        return []
    macro, state = interface.macro, interface.state
    return [
        "/*",
        " * The state that lasts from one inference to the next: the last bytes of the workspace",
        f" * {state.array}, which the application leaves alone between inferences.",
        " */",
        f"#define {macro}_STATE_OFFSET {state.offset}",
        f"#define {macro}_STATE_SIZE {state.size}",
        "",
    ]


def _reset(interface: Interface) -> list[str]:
    if interface.state is None:
        return []
    return [
        "/*",
        " * Sets the state to its initial values, so that the next inference is the first one of a",
        " * new sequence.  The first inference of a program does this by itself.",
        " */",
        f"void {interface.prefix}_reset(void);",
        "",
    ]


def _quantization(interface: Interface) -> Iterator[str]:
    """Macros that say what integers stand for."""
    ports = [port for port in (*interface.inputs, *interface.outputs) if port.quantization]
    if ports:
        yield "\n/* What integers stand for: value = SCALE * (integer - ZERO_POINT). */"
    for port in ports:
        assert port.quantization is not None
        name = f"{interface.macro}_{port.member.upper()}"
        scale, zero_point = port.quantization
        yield f"#define {name}_SCALE {float_literal(scale, 'float32')}"
        yield f"#define {name}_ZERO_POINT {f'({zero_point})' if zero_point < 0 else zero_point}"


def _debugging(interface: Interface, steps: int, counted: int) -> list[str]:
    prefix, macro = interface.prefix, interface.macro
    return [
        "/*",
        " * For debugging, if the library and the application are both compiled with",
        " *",
        " *   -DTVMGEN_CHECK=1: the run function also returns -2 for a pointer that is not aligned",
        " *     or leads into the arena but not to its own tensor, and -3 if a step, or something",
        " *     since the last run, wrote over the guards before and behind an arena.  With",
        " *     -DTVMGEN_CHECK_FAILED=function, the application's",
        " *     void function(const char *what, const char *where) is called first.",
        " *   -DTVMGEN_PROFILE=counter: each run adds to a table what the counter, an expression",
        " *     of 32 bits that counts up, advanced during each step, and to another what it",
        " *     advanced during each operator of the steps that run several.  TVMGEN_DWT and",
        " *     TVMGEN_PMU are the cycle counters of Armv7-M and Armv8.1-M, which the application",
        " *     has to start.  -DTVMGEN_PROFILE_HEADER gives a header that the expression needs.",
        " */",
        "#ifndef TVMGEN_CHECK",
        "#define TVMGEN_CHECK 0",
        "#endif",
        "#if TVMGEN_CHECK",
        f"#define {macro}_GUARD_BYTES \\",
        f"  ({macro}_WORKSPACE_ALIGNMENT > 32 \\",
        f"       ? {macro}_WORKSPACE_ALIGNMENT \\",
        "       : 32)",
        "#else",
        f"#define {macro}_GUARD_BYTES 0",
        "#endif",
        f"#define {macro}_STEPS {max(1, steps)}",
        f"#define {macro}_OPERATORS {counted}",
        "#if TVMGEN_CHECK /* for the library itself */",
        f"void {prefix}_write_guards(void);",
        f"int32_t {prefix}_guards_changed(const char *where);",
        f"int32_t {prefix}_bad_pointer(const void *pointer, const void *place,",
        f"{' ' * (len(prefix) + 21)}uint32_t alignment);",
        "#endif",
        "#ifdef TVMGEN_PROFILE",
        "#define TVMGEN_DWT (*(volatile uint32_t *)0xE0001004u) /* DWT_CYCCNT */",
        "#define TVMGEN_PMU (*(volatile uint32_t *)0xE000307Cu) /* PMU_CCNTR */",
        f"extern uint64_t {prefix}_profile[{macro}_STEPS];",
        f"#if {macro}_OPERATORS > 0",
        f"extern uint64_t {prefix}_operator_profile[{macro}_OPERATORS];",
        "#endif",
        "#endif",
        "#if TVMGEN_CHECK || defined(TVMGEN_PROFILE)",
        f"extern const char *const {prefix}_step_names[{macro}_STEPS];",
        "#endif",
        "",
    ]


def _callback_types(interface: Interface) -> list[str]:
    prefix = interface.prefix
    lines = []
    if any(port.row_streamed for port in interface.inputs):
        lines += [
            "/*",
            " * A function of the application that writes row `row` of an input, all of it, to",
            " * `destination`.  `context` is the pointer beside it in the structure.  Rows are",
            " * asked for in ascending order from 0, each at most once an inference; the last ones",
            " * are not if nothing needs them.  Any result but 0 ends the inference.",
            " */",
            f"typedef int32_t (*{prefix}_input_row_fn)(void *context, int32_t row,",
            f"{' ' * (len(prefix) + 33)}void *destination);",
            "",
        ]
    if any(port.row_streamed for port in interface.outputs):
        lines += [
            "/*",
            " * A function of the application that takes row `row` of an output from `source`,",
            " * which is overwritten afterwards.  Rows come in ascending order, all of them.  Any",
            " * result but 0 ends the inference.",
            " */",
            f"typedef int32_t (*{prefix}_output_row_fn)(void *context, int32_t row,",
            f"{' ' * (len(prefix) + 34)}const void *source);",
            "",
        ]
    return lines
