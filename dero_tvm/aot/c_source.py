"""The C source of a program: kernels, one function a step, and the run function."""

from __future__ import annotations

import re

from .c_constants import array_name, c_type, declaration, used_constants
from .header import CPort, Interface
from .kernels import Kernel, Parameter
from .lower import CFunction, c_functions
from .names import c_comment, c_identifier
from .program import Address, Argument, Program, RowsNeeded, StepProgram

_PRELUDE = """\
/*
 * The arena holds tensors of different types one after the other in the same bytes.  These types
 * tell the compiler that pointers to them may point at the same memory.
 */
#if defined(__GNUC__)
#define TVMGEN_MAY_ALIAS __attribute__((may_alias))
#else
#define TVMGEN_MAY_ALIAS
#endif
"""


def c_source(program: Program, interface: Interface) -> str:
    """Text of ``<name>_lib1.c``."""
    return _Printer(program, interface).print()


class _Printer:
    def __init__(self, program: Program, interface: Interface) -> None:
        self.program = program
        self.interface = interface
        self.prefix = interface.prefix
        self.arenas = {region: array for region, array, _ in interface.arenas}
        self.step_names: list[str] = []

    def print(self) -> str:
        program = self.program
        bodies = c_functions({k.name: k.function for k in program.kernels})
        kernels = [self._kernel(kernel, bodies[kernel.name]) for kernel in program.kernels]
        steps = [self._step(number, step) for number, step in enumerate(program.steps)]
        constants = [
            declaration(self.prefix, name, program.network.constants[name])
            for name in used_constants(program)
        ]
        code = "\n\n".join([*kernels, *steps, *self._entry()])
        headers = [f'#include "{self.prefix}.h"', "", "#include <stdbool.h>"]
        if re.search(r"\b\w+f\(|\b(?:INFINITY|NAN)\b", code):
            headers.insert(2, "#include <math.h>")
        if "memcpy(" in code or "NULL" in code:
            headers += ["#include <stddef.h>", "#include <string.h>"]
        typedefs = [
            f"typedef {c_type(d)} TVMGEN_MAY_ALIAS {_alias(d)};" for d in self._arena_types()
        ]
        parts = ["\n".join(headers), _PRELUDE + "\n".join(typedefs), "\n".join(constants), code]
        return "\n\n".join(part for part in parts if part) + "\n"

    # --- kernels -----------------------------------------------------------------------------

    def _arena_types(self) -> list[str]:
        types = {p.dtype for k in self.program.kernels for p in k.parameters if p.dtype}
        return sorted(types)

    def _kernel(self, kernel: Kernel, function: CFunction) -> str:
        parameters = [
            _declare(parameter, name)
            for parameter, name in zip(kernel.parameters, function.parameters)
        ]
        body = function.body
        unused = [n for n in function.parameters if not re.search(rf"\b{n}\b", body)]
        marks = "".join(f"  (void){name};\n" for name in unused)
        body = "{\n" + marks + body.removeprefix("{\n")
        head = f"/* {c_comment(kernel.comment)} */\nstatic void {kernel.name}("
        return f"{head}{', '.join(parameters)}) {body}"

    # --- steps -------------------------------------------------------------------------------

    def _step(self, number: int, step: StepProgram) -> str:
        name = f"step_{number}_{c_identifier(step.name)}"
        self.step_names.append(name)
        uses_ports = {
            a.address.base.split(":")[0]
            for stage in step.stages
            for a in stage.arguments
            if isinstance(a, Argument)
        }
        parameters = [
            f"const struct {self.prefix}_{kind}s *{kind}s"
            for kind in ("input", "output")
            if kind in uses_ports
        ]
        tables: list[str] = []
        body = self._body(step, tables)
        text = [f"/* {c_comment(step.name)} */", *tables]
        text += [f"static void {name}({', '.join(parameters) or 'void'}) {{", *body, "}"]
        self.step_names[-1] = f"{name}({', '.join(p.split('*')[-1] for p in parameters)})"
        return "\n".join(text)

    def _body(self, step: StepProgram, tables: list[str]) -> list[str]:
        final = len(step.stages) - 1
        last = step.stages[final]
        if not last.kernel.by_row:
            return [f"  {self._call(step, final)}"]
        lines = [f"  int32_t row_{i} = 0;" for i in range(final)]
        lines.append(
            f"  for (int32_t row_{final} = 0; row_{final} < {last.rows}; ++row_{final}) {{"
        )
        lines += self._make(step, final, "    ", tables)
        lines.append("  }")
        for index, stage in enumerate(step.stages):
            if stage.complete:
                lines.append(f"  while (row_{index} < {stage.rows}) {{")
                lines += self._make(step, index, "    ", tables)
                lines += [f"    ++row_{index};", "  }"]
        return lines

    def _make(self, step: StepProgram, index: int, indent: str, tables: list[str]) -> list[str]:
        """Statements that make one row of stage `index`, and first the rows it needs."""
        stage = step.stages[index]
        lines = []
        for producer, needed in stage.asks:
            until = self._needed(f"row_{index}", needed, tables)
            lines.append(f"{indent}while (row_{producer} < {until}) {{")
            lines += self._make(step, producer, indent + "  ", tables)
            lines += [f"{indent}  ++row_{producer};", f"{indent}}}"]
        lines.append(f"{indent}{self._call(step, index)}")
        return lines

    def _needed(self, row: str, needed: RowsNeeded, tables: list[str]) -> str:
        if needed.table:
            name = f"rows_needed_{len(self.step_names)}_{len(tables)}"
            values = ", ".join(map(str, needed.table))
            tables.append(f"static const int32_t {name}[{len(needed.table)}] = {{{values}}};")
            return f"{name}[{row}]"
        scaled = row if needed.stride == 1 else f"{row} * {needed.stride}"
        sign = "+" if needed.offset >= 0 else "-"
        line = f"{scaled} {sign} {abs(needed.offset)}"
        return f"({line} < {needed.limit} ? {line} : {needed.limit})"

    def _call(self, step: StepProgram, index: int) -> str:
        stage = step.stages[index]
        row = f"({stage.rows - 1} - row_{index})" if step.descending else f"row_{index}"
        arguments = [row] if stage.kernel.by_row else []
        parameters = stage.kernel.parameters[1:] if stage.kernel.by_row else stage.kernel.parameters
        for argument, parameter in zip(stage.arguments, parameters):
            if isinstance(argument, int):
                arguments.append(str(argument))
            else:
                arguments.append(self._pointer(argument, row, parameter))
        return f"{stage.kernel.name}({', '.join(arguments)});"

    def _pointer(self, argument: Argument, row: str, parameter: Parameter) -> str:
        base = self._base(argument.address)
        offset = [str(argument.address.offset)] if argument.address.offset else []
        if argument.row_bytes:
            if argument.ring == 0:
                offset.append(f"{row} * {argument.row_bytes}")
            elif argument.ring > 1:
                offset.append(f"{row} % {argument.ring} * {argument.row_bytes}")
        if argument.address.base.startswith("constant:"):
            return base
        inner = " + ".join([base, *offset])
        qualifier = "const " if parameter.read_only else ""
        return f"({qualifier}{_alias(argument.dtype)} *)({inner})"

    def _base(self, address: Address) -> str:
        kind, _, name = address.base.partition(":")
        if kind == "arena":
            return self.arenas[name]
        if kind == "constant":
            return array_name(self.prefix, name)
        ports = self.interface.inputs if kind == "input" else self.interface.outputs
        const = "const " if kind == "input" else ""
        return f"({const}uint8_t *){kind}s->{ports[int(name)].member}"

    # --- entry -------------------------------------------------------------------------------

    def _entry(self) -> list[str]:
        prefix = self.prefix
        structs = f"struct {prefix}_inputs *inputs, struct {prefix}_outputs *outputs"
        parts = []
        members = [("inputs", p) for p in self.interface.inputs]
        members += [("outputs", p) for p in self.interface.outputs]
        run = []
        checks = " || ".join(f"{kind}->{port.member} == NULL" for kind, port in members)
        run += [f"  if ({checks}) {{", "    return -1;", "  }"]
        if self.program.plan.options.external_io:
            run += [f"  {name};" for name in self.step_names]
        else:
            places = self._port_addresses()
            lines = [f"  {kind}->{p.member} = {places[kind, p.member]};" for kind, p in members]
            text = "\n".join(lines)
            parts.append(f"void {prefix}_map_io({structs}) {{\n{text}\n}}")
            run += [
                line
                for kind, p in members
                if kind == "inputs"
                for line in self._copy(places[kind, p.member], f"{kind}->{p.member}", p, target=0)
            ]
            run += [f"  {name};" for name in self.step_names]
            run += [
                line
                for kind, p in members
                if kind == "outputs"
                for line in self._copy(places[kind, p.member], f"{kind}->{p.member}", p, target=1)
            ]
        body = "\n".join([*run, "  return 0;"])
        parts.append(f"int32_t {prefix}_run({structs}) {{\n{body}\n}}")
        return parts

    def _copy(self, inside: str, outside: str, port: CPort, *, target: int) -> list[str]:
        pair = (inside, outside) if target == 0 else (outside, inside)
        return [
            f"  if ({outside} != {inside}) {{",
            f"    memcpy({pair[0]}, {pair[1]}, {port.bytes});",
            "  }",
        ]

    def _port_addresses(self) -> dict[tuple[str, str], str]:
        network = self.program.network
        addresses = {}
        for kind, ports, members in (
            ("inputs", network.inputs, self.interface.inputs),
            ("outputs", network.outputs, self.interface.outputs),
        ):
            for port, member in zip(ports, members):
                value = network.values[port.value]
                placement = self.program.plan.placements[value.buffer]
                offset = placement.offset + value.offset
                place = self.arenas[placement.region]
                addresses[kind, member.member] = f"({place} + {offset})" if offset else place
        return addresses


def _alias(dtype: str) -> str:
    return f"tvmgen_{dtype}"


def _declare(parameter: Parameter, name: str) -> str:
    if parameter.dtype is None:
        return f"int32_t {name}"
    const = "const " if parameter.read_only else ""
    return f"{const}{_alias(parameter.dtype)} *{name}"
