"""The C source of a program: kernels, one function a step, and the run function."""

from __future__ import annotations

import re

from .c_constants import array_names, c_type, declaration
from .c_layout import WIDTH, wrap_code
from .header import CPort, Interface
from .kernel_body import alias, aliases_in
from .kernels import Kernel, Parameter
from .lower import CFunction, c_functions
from .names import c_comment, c_identifier
from .program import Address, Argument, Program, RowsNeeded, Stage, StepProgram
from .standard_headers import standard_headers

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
        self.constants = array_names(program, interface.prefix)
        self.step_names: list[str] = []

    def print(self) -> str:
        program = self.program
        bodies = c_functions({k.name: k.function for k in program.kernels})
        kernels = [self._kernel(kernel, bodies[kernel.name]) for kernel in program.kernels]
        steps = [self._step(number, step) for number, step in enumerate(program.steps)]
        constants = [
            declaration(array, program.network.constants[name])
            for name, array in self.constants.items()
        ]
        code = wrap_code("\n\n".join([*kernels, *steps, *self._entry()]))
        headers = [f'#include "{self.prefix}.h"', "", *standard_headers(code)]
        typedefs = [
            f"typedef {c_type(d)} TVMGEN_MAY_ALIAS {alias(d)};" for d in sorted(aliases_in(code))
        ]
        parts = ["\n".join(headers), _PRELUDE + "\n".join(typedefs), "\n".join(constants), code]
        return "\n\n".join(part for part in parts if part) + "\n"

    # --- kernels -----------------------------------------------------------------------------

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
        text = [*self._description(step), *tables]
        text += [f"static void {name}({', '.join(parameters) or 'void'}) {{", *body, "}"]
        self.step_names[-1] = f"{name}({', '.join(p.split('*')[-1] for p in parameters)})"
        return "\n".join(text)

    def _description(self, step: StepProgram) -> list[str]:
        """A comment that lists a step's operators, what each reads and what it makes."""
        order = " (last row first)" if step.descending else ""
        lines = ["/*", f" * {c_comment(step.name)}{order}"]
        for stage in step.stages:
            op = stage.operation
            values = self.program.network.values
            reads = ", ".join(self._value(name) for name in op.operands if name in values)
            read, made = f" *   {stage.kernel.name}: {reads}", f"-> {self._value(op.result)}"
            fits = len(read) + 1 + len(made) <= WIDTH
            lines += [f"{read} {made}"] if fits else [read, f" *       {made}"]
        return [*lines, " */"]

    def _value(self, name: str) -> str:
        spec = self.program.network.spec(name)
        shape = "x".join(map(str, spec.shape)) or "scalar"
        return c_comment(f"{name} ({shape} {spec.dtype})")

    def _body(self, step: StepProgram, tables: list[str]) -> list[str]:
        final = len(step.stages) - 1
        last = step.stages[final]
        if not last.kernel.by_row:
            return [f"  {self._call(step, final)}"]
        lines = [f"  int32_t row_{i} = 0;" for i in range(final)]
        if last.rows == 1:
            lines += self._make(step, final, "0", "  ", tables)
        else:
            row = f"row_{final}"
            lines.append(f"  for (int32_t {row} = 0; {row} < {last.rows}; ++{row}) {{")
            lines += self._make(step, final, row, "    ", tables)
            lines.append("  }")
        for index, stage in enumerate(step.stages):
            if stage.complete:
                lines.append(f"  while (row_{index} < {stage.rows}) {{")
                lines += self._make(step, index, f"row_{index}", "    ", tables)
                lines += [f"    ++row_{index};", "  }"]
        return lines

    def _make(
        self, step: StepProgram, index: int, row: str, indent: str, tables: list[str]
    ) -> list[str]:
        """Statements that make row `row` of stage `index`, and first the rows it needs."""
        stage = step.stages[index]
        lines = []
        for producer, needed in stage.asks:
            until = self._needed(row, stage, needed, tables)
            made = f"row_{producer}"
            lines.append(f"{indent}while ({made} < {until}) {{")
            lines += self._make(step, producer, made, indent + "  ", tables)
            lines += [f"{indent}  ++{made};", f"{indent}}}"]
        lines.append(f"{indent}{self._call(step, index, row)}")
        return lines

    def _needed(self, row: str, stage: Stage, needed: RowsNeeded, tables: list[str]) -> str:
        if needed.table:
            name = f"rows_needed_{len(self.step_names)}_{len(tables)}"
            values = ", ".join(map(str, needed.table))
            tables.append(f"static const int32_t {name}[{len(needed.table)}] = {{{values}}};")
            return f"{name}[{row}]"
        if row == "0" or needed.stride == 0:
            return str(min(needed.offset, needed.limit))
        line = row if needed.stride == 1 else f"{row} * {needed.stride}"
        if needed.offset:
            line += f" {'+' if needed.offset > 0 else '-'} {abs(needed.offset)}"
        if (stage.rows - 1) * needed.stride + needed.offset <= needed.limit:
            return line
        return f"({line} < {needed.limit} ? {line} : {needed.limit})"

    def _call(self, step: StepProgram, index: int, row: str = "") -> str:
        stage = step.stages[index]
        if step.descending and row:
            row = "0" if stage.rows == 1 else f"({stage.rows - 1} - {row})"
        arguments = [row] if stage.kernel.by_row else []
        for argument, parameter in stage.passed:
            if isinstance(argument, int):
                arguments.append(str(argument))
            else:
                arguments.append(self._pointer(argument, row, parameter))
        return f"{stage.kernel.name}({', '.join(arguments)});"

    def _pointer(self, argument: Argument, row: str, parameter: Parameter) -> str:
        base = self._base(argument.address)
        offset = [str(argument.address.offset)] if argument.address.offset else []
        if argument.row_bytes and row != "0":
            if argument.ring == 0:
                offset.append(f"{row} * {argument.row_bytes}")
            elif argument.ring > 1:
                offset.append(f"{row} % {argument.ring} * {argument.row_bytes}")
        if argument.address.base.startswith("constant:"):
            return base
        inner = f"({' + '.join([base, *offset])})" if offset else base
        qualifier = "const " if parameter.read_only else ""
        return f"({qualifier}{alias(argument.dtype)} *){inner}"

    def _base(self, address: Address) -> str:
        kind, _, name = address.base.partition(":")
        if kind == "arena":
            return self.arenas[name]
        if kind == "constant":
            return self.constants[name]
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
                addresses[kind, member.member] = f"{place} + {offset}" if offset else place
        return addresses


def _declare(parameter: Parameter, name: str) -> str:
    if parameter.dtype is None:
        return f"int32_t {name}"
    const = "const " if parameter.read_only else ""
    return f"{const}{alias(parameter.dtype)} *{name}"
