"""Steps in C: one function each, of nested loops over calls of row kernels.

    for (int32_t row_1 = 0; row_1 < 8; ++row_1) {
      while (row_0 < row_1 + 2) {
        conv2d_0(row_0, ...);
        ++row_0;
      }
      conv2d_1(row_1, ...);
    }

A stage whose rows are made at several places has a function of its own, so that the code grows
with the number of stages and not with the number of paths between them; so has one that would
stand in too many loops.

Where rows are made in another order than readers ask for them, a constant lists the stages:

    for (int32_t call = 0; call < 24; ++call) {
      switch (calls_0[call]) {
        case 0:
          conv2d_0(row_0, ...);
          ++row_0;
          break;
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dero_tvm.schedule.network import Network

from .c_constants import c_type
from .c_layout import WIDTH
from .header import CPort, Interface
from .kernel_body import alias
from .kernels import RowCallback
from .names import c_comment, c_identifier
from .row_places import Address
from .stages import (
    Argument,
    CallList,
    Column,
    RowsNeeded,
    Stage,
    StepProgram,
    StripMove,
    WindowLoop,
)

_LONGEST_LAYER = 400  # TFLite joins the names of all that it fused
_LONGEST_PART = 64  # bytes of a pixel that compilers for Arm copy without a loop or call


def _part_of(move: StripMove) -> tuple[str, int]:
    """The type and number of elements that are copied at a time, an equal part of a pixel."""
    words = all(n % 4 == 0 for n in (move.pixel_bytes, move.row_bytes, move.address.offset))
    size = 4 if words else 1
    pixel, most = move.pixel_bytes // size, _LONGEST_PART // size
    return f"uint{8 * size}", max(n for n in range(1, most + 1) if pixel % n == 0)


def _times(value: str, factor: int) -> str:
    return value if factor == 1 else f"{value} * {factor}"


@dataclass(frozen=True)
class StepCode:
    """The functions of a step, and the expression that calls the one that runs it.

    With `may_fail` it has a result: 0, or the code that a function of the application returned.
    """

    name: str
    text: str
    call: str
    may_fail: bool
    layers: tuple[str, ...] = ()  # of the model file, after which its operators are named

    def call_lines(self, indent: str) -> list[str]:
        """Statements that run the step, and leave the function that they stand in if it fails."""
        return _checked(self.call, indent) if self.may_fail else [f"{indent}{self.call};"]


def _checked(call: str, indent: str) -> list[str]:
    return [
        f"{indent}status = {call};",
        f"{indent}if (status != 0) {{",
        f"{indent}  return status;",
        f"{indent}}}",
    ]


def step_code(
    number: int,
    step: StepProgram,
    network: Network,
    interface: Interface,
    arrays: Mapping[str, str],
    counters: int,
) -> StepCode:
    """The C code of step `number`; `arrays` holds the C names of constants.

    `counters` is the number of the first of the step's operators in a profile.
    """
    return _StepPrinter(number, step, network, interface, arrays, counters).print()


class _StepPrinter:
    def __init__(
        self,
        number: int,
        step: StepProgram,
        network: Network,
        interface: Interface,
        arrays: Mapping[str, str],
        counters: int | None,
        name: str = "",
        columns: str = "",
    ) -> None:
        self.step = step
        self.counters = counters  # None in a window, where nothing is counted apart
        self.network = network
        self.constants = arrays
        self.number = number
        self.name = name or f"step_{number}_{c_identifier(step.name)}"
        self.columns = columns  # the parameter with the columns of a window, if there are windows
        self.interface = interface
        self.arenas = {region: array for region, array, _ in interface.arenas}
        calls = [stage.in_c for stage in step.inner_stages]
        arguments = [a for call in calls for a in call.arguments if isinstance(a, Argument)]
        callbacks = [s.kernel.port for s in step.stages if isinstance(s.kernel, RowCallback)]
        bases = {argument.address.base for argument in arguments} | set(callbacks)
        bases = {base.partition(":")[0] for base in bases}
        self.may_fail = bool(callbacks)
        self.ports = [kind for kind in ("input", "output") if kind in bases]
        self.counts_in_array = any(stage.shared for stage in step.stages)
        self.tables: list[str] = []

    def print(self) -> StepCode:
        parameters = self._parameters()
        functions = self._functions_of_stages()
        functions += self._function(self.name, ", ".join(parameters) or "void", self._body())
        text = "\n".join([*self._description(), *self.tables, *functions])
        call = f"{self.name}({', '.join(f'{p}s' for p in self.ports)})"
        layers = self.network.layers_of(s.operation.result for s in self.step.inner_stages)
        return StepCode(self.name, text, call, self.may_fail, layers)

    def _parameters(self) -> list[str]:
        return [f"const struct {self.interface.prefix}_{p}s *{p}s" for p in self.ports]

    def _functions_of_stages(self) -> list[str]:
        """The functions of stages that have one, and a line behind each."""
        lines = []
        for index, stage in enumerate(self.step.stages):
            if isinstance(stage.kernel, WindowLoop):
                lines += [*self._window_function(index, stage.kernel), ""]
        for index, stage in enumerate(self.step.stages):
            if stage.shared:
                known = [self.columns] if self.columns else []
                head = ", ".join(["int32_t *made", "int32_t until", *known, *self._parameters()])
                body = self._make_until(index, "until", "  ")
                lines += [*self._function(f"{self.name}_stage_{index}", head, body), ""]
        return lines

    def _inside(self, index: int, loop: WindowLoop) -> _StepPrinter:
        """The printer of what a loop over windows has inside."""
        entries = c_type(str(self.network.constants[loop.columns].dtype))
        return _StepPrinter(
            self.number,
            StepProgram(self.step.name, loop.stages),
            self.network,
            self.interface,
            self.constants,
            None,
            name=f"{self.name}_windows_{index}",
            columns=f"const {entries} *columns",
        )

    def _window_function(self, index: int, loop: WindowLoop) -> list[str]:
        """The function that makes a pass of a group in windows of columns, and those it calls.

        static void step_0_..._windows_2(int32_t pass) {
          for (int32_t window = 0; window < 4; ++window) {
            const uint16_t *columns = columns_conv2 + window * 4;
            int32_t row_0 = first_rows_conv2[pass];
            for (int32_t row_1 = pass * 2; row_1 < end; ++row_1) {
        """
        count = len(loop.stages)
        printer = self._inside(index, loop)
        lines = printer._functions_of_stages()
        final, row = count - 1, printer._row(count - 1)
        body = [
            f"  const int32_t next = (pass + 1) * {loop.rows};",
            f"  const int32_t end = next < {loop.height} ? next : {loop.height};",
            f"  for (int32_t window = 0; window < {loop.windows}; ++window) {{",
            f"    {printer.columns} = {self.constants[loop.columns]} + window * {loop.entries};",
        ]
        for move in loop.moves:
            body += printer._move(move, "    ")
        if printer.counts_in_array:
            body.append(f"    int32_t made[{count}];")
        for stage in range(final):
            place = f"pass * {final} + {stage}" if final > 1 else "pass"
            kind = "" if printer.counts_in_array else "int32_t "
            table = self.constants[loop.first_rows]
            body.append(f"    {kind}{printer._row(stage)} = {table}[{place}];")
        kind = "" if printer.counts_in_array else "int32_t "
        body.append(f"    for ({kind}{row} = pass * {loop.rows}; {row} < end; ++{row}) {{")
        body += [*printer._make(final, "      "), "    }", "  }"]
        head = ", ".join(["int32_t pass", *printer._parameters()])
        lines += self._function(printer.name, head, body)
        self.tables += printer.tables
        return lines

    def _move(self, move: StripMove, indent: str) -> list[str]:
        """Statements that bring columns to the beginning of the rows of a strip."""
        place = " + ".join([self._base(move.address), *self._offset(move.address)])
        behind, count = f"columns[{move.behind.entry}]", f"columns[{move.count.entry}]"
        kind, length = _part_of(move)
        parts = 8 * move.pixel_bytes // (length * int(kind.removeprefix("uint")))
        lines = [
            f"if ({behind} != 0) {{",
            f"  struct TVMGEN_MAY_ALIAS part {{ {c_type(kind)} of[{length}]; }};",
            f"  for (int32_t row = 0; row < {move.rows}; ++row) {{",
            f"    struct part *to = (struct part *)({place} + row * {move.row_bytes});",
            f"    const struct part *from = to + {_times(behind, parts)};",
            f"    for (int32_t left = {_times(count, parts)}; left > 0; --left) {{",
            *("      *to++ = *from++;", "    }", "  }", "}"),
        ]
        return [f"{indent}{line}" for line in lines]

    def _function(self, name: str, parameters: str, body: list[str]) -> list[str]:
        if not self.may_fail:
            return ["TVMGEN_HOT", f"static void {name}({parameters}) {{", *body, "}"]
        status = ["  int32_t status;"] if any("status =" in line for line in body) else []
        head = f"static int32_t {name}({parameters}) {{"
        return ["TVMGEN_HOT", head, *status, *body, "  return 0;", "}"]

    def _description(self) -> list[str]:
        """A comment that lists the step's operators: what each reads, makes, and was made from."""
        order = " (last row first)" if self.step.descending else ""
        lines = ["/*", f" * {c_comment(self.step.name)}{order}"]
        for stage in self.step.inner_stages:
            operation, values = stage.operation, self.network.values
            operands = ", ".join(self._value(n) for n in operation.operands if n in values)
            reads = f" *   {self._callee(stage)}: {operands}".rstrip()
            makes = f"-> {self._value(operation.result)}" if operation.result in values else ""
            fits = len(reads) + 1 + len(makes) <= WIDTH
            lines += [f"{reads} {makes}".rstrip()] if fits else [reads, f" *       {makes}"]
            for layer in self.network.layers.get(operation.result, ()):
                lines.append(f" *       from {c_comment(layer, _LONGEST_LAYER)}")
        return [*lines, " */"]

    def _callee(self, stage: Stage) -> str:
        kernel = stage.in_c.kernel
        assert not isinstance(kernel, WindowLoop)
        if not isinstance(kernel, RowCallback):
            return kernel.name
        kind, port = self._port(kernel)
        return f"{kind}s->{port.member}"

    def _value(self, name: str) -> str:
        return c_comment(f"{name} ({self.network.spec(name).described})")

    def _body(self) -> list[str]:
        stages = self.step.stages
        if self.step.calls is not None:
            return self._listed(self.step.calls)
        final = len(stages) - 1
        if not stages[final].kernel.by_row or (final == 0 and stages[0].rows == 1):
            return self._call(final, "  ")
        if self.counts_in_array:
            lines = [f"  int32_t made[{final + 1}] = {{0}};"]
        else:
            lines = [f"  int32_t row_{i} = 0;" for i in range(final)]
        row, rows = self._row(final), stages[final].rows
        start = "" if self.counts_in_array else f"int32_t {row} = 0"
        lines.append(f"  for ({start}; {row} < {rows}; ++{row}) {{")
        lines += [*self._make(final, "    "), "  }"]
        for index, stage in enumerate(stages):
            if stage.complete:
                lines += self._have_made(index, str(stage.rows), "  ")
        return lines

    def _listed(self, calls: CallList) -> list[str]:
        """The loop over a list of calls."""
        stages = range(len(self.step.stages))
        counted = [index for index in stages if self.step.stages[index].rows > 1]
        lines = [f"  int32_t {self._row(index)} = {calls.first_rows[index]};" for index in counted]
        array, count = self.constants[calls.constant], len(self.network.constants[calls.constant])
        lines.append(f"  for (int32_t call = 0; call < {count}; ++call) {{")
        lines.append(f"    switch ({array}[call]) {{")
        for index in stages:
            # The last stage is what is left.
            last = index == stages[-1]
            lines += ["      default:" if last else f"      case {index}:"]
            lines += self._call(index, "        ")
            if index in counted:
                sign = "++" if calls.directions[index] > 0 else "--"
                lines.append(f"        {sign}{self._row(index)};")
            lines.append("        break;")
        return [*lines, "    }", "  }"]

    def _row(self, index: int) -> str:
        """How many rows a stage has made, which is the number of the one that it makes next."""
        return f"made[{index}]" if self.counts_in_array else f"row_{index}"

    def _have_made(self, index: int, until: str, indent: str) -> list[str]:
        """Statements after which a stage has made at least `until` rows."""
        if not self.step.stages[index].shared:
            return self._make_until(index, until, indent)
        known = ["columns"] if self.columns else []
        arguments = ["made", until, *known, *(f"{port}s" for port in self.ports)]
        call = f"{self.name}_stage_{index}({', '.join(arguments)})"
        return _checked(call, indent) if self.may_fail else [f"{indent}{call};"]

    def _make_until(self, index: int, until: str, indent: str) -> list[str]:
        row = self._row(index)
        body = self._make(index, indent + "  ")
        return [f"{indent}while ({row} < {until}) {{", *body, f"{indent}  ++{row};", f"{indent}}}"]

    def _make(self, index: int, indent: str) -> list[str]:
        """Statements that make one row of a stage, and first the rows it needs."""
        lines = []
        for producer, needed in self.step.stages[index].asks:
            lines += self._have_made(producer, self._needed(self._row(index), needed), indent)
        return [*lines, *self._call(index, indent)]

    def _needed(self, row: str, needed: RowsNeeded) -> str:
        if needed.table:
            name = f"{self.name}_needs_{len(self.tables)}"
            values = ", ".join(map(str, needed.table))
            self.tables.append(f"static const int32_t {name}[{len(needed.table)}] = {{{values}}};")
            return f"{name}[{row}]"
        if needed.stride == 0:
            return str(needed.offset)
        line = row if needed.stride == 1 else f"{row} * {needed.stride}"
        if needed.offset:
            line += f" {'+' if needed.offset > 0 else '-'} {abs(needed.offset)}"
        if needed.limit is None:
            return line
        return f"({line} < {needed.limit} ? {line} : {needed.limit})"

    def _call(self, index: int, indent: str) -> list[str]:
        """Statements that make a row; in a step of several operators a profile counts each."""
        lines = self._row_call(index, indent)
        if self.counters is not None and len(self.step.stages) > 1:
            lines.append(f"{indent}TVMGEN_LAP({self.counters + index});")
        return lines

    def _row_call(self, index: int, indent: str) -> list[str]:
        stage = self.step.stages[index]
        row = self._row(index)
        if stage.rows == 1:
            row = "0"
        elif self.step.descending:
            row = f"({stage.rows - 1} - {row})"
        kernel = stage.in_c.kernel
        if isinstance(kernel, RowCallback):
            return self._trade(stage, kernel, row, indent)
        if isinstance(kernel, WindowLoop):
            inside = self._inside(index, kernel)
            given = ", ".join([row, *(f"{port}s" for port in inside.ports)])
            return [f"{indent}{inside.name}({given});"]
        arguments = [row] if kernel.by_row else []
        for argument, parameter in stage.in_c.passed:
            if isinstance(argument, int):
                arguments.append(str(argument))
            elif isinstance(argument, Column):
                arguments.append(f"columns[{argument.entry}]")
            else:
                pointer = self._address(argument, row)
                if not argument.address.base.startswith("constant:"):
                    qualifier = "const " if parameter.read_only else ""
                    place = f"({pointer})" if " + " in pointer else pointer
                    pointer = f"({qualifier}{alias(argument.dtype)} *){place}"
                arguments.append(pointer)
        return [f"{indent}{kernel.name}({', '.join(arguments)});"]

    def _trade(self, stage: Stage, callback: RowCallback, row: str, indent: str) -> list[str]:
        """The call of an application's function with the address of a row."""
        kind, port = self._port(callback)
        (argument,) = stage.arguments
        assert isinstance(argument, Argument)
        context = f"{kind}s->{port.context}"
        call = f"({kind}s->{port.member})({context}, {row}, {self._address(argument, row)})"
        return _checked(call, indent)

    def _port(self, callback: RowCallback) -> tuple[str, CPort]:
        kind, _, index = callback.port.partition(":")
        ports = self.interface.inputs if kind == "input" else self.interface.outputs
        return kind, ports[int(index)]

    def _address(self, argument: Argument, row: str) -> str:
        base = self._base(argument.address)
        if argument.address.base.startswith("constant:"):
            # To gcc, bool and its may_alias variant are not compatible; other types are.
            return f"(const {alias('bool')} *){base}" if argument.dtype == "bool" else base
        offset = self._offset(argument.address)
        if argument.table:
            table = self.constants[argument.table]
            entry = f"{table}[{self._entry(argument, row)}]"
            offset.append(entry if argument.unit == 1 else f"{entry} * {argument.unit}")
        elif argument.row_bytes and row != "0":
            if argument.ring == 0:
                offset.append(f"{row} * {argument.row_bytes}")
            elif argument.ring > 1:
                offset.append(f"{row} % {argument.ring} * {argument.row_bytes}")
        if argument.column is not None:
            offset.append(f"columns[{argument.column.entry}] * {argument.pixel_bytes}")
        return " + ".join([base, *offset])

    def _offset(self, address: Address) -> list[str]:
        return [str(address.offset)] if address.offset else []

    def _entry(self, argument: Argument, row: str) -> str:
        """The index of a row's entry in its table, behind the period."""
        period, rows = int(self.network.constants[argument.table][0]), argument.rows
        if row.isdigit():
            return str(1 + int(row) % period)
        return f"1 + {row}" if period >= rows else f"1 + {row} % {period}"

    def _base(self, address: Address) -> str:
        kind, _, name = address.base.partition(":")
        if kind == "arena":
            return self.arenas[name]
        if kind == "constant":
            return self.constants[name]
        ports = self.interface.inputs if kind == "input" else self.interface.outputs
        const = "const " if kind == "input" else ""
        return f"({const}uint8_t *){kind}s->{ports[int(name)].member}"
