"""The C source of a program: kernels, one function a step, and the run function."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

from dero_tvm.boundary.errors import UserError
from dero_tvm.kernels.support import support_code

from .c_constants import array_names, c_type, declaration
from .c_instrument import around_step, check_arguments, macros, write_guards
from .c_layout import wrap_code
from .c_state import begin_with_state, initial_values, reset_function
from .c_steps import StepCode, step_code
from .compiler_faults import guarded
from .header import CPort, Interface, PortPlace
from .kernel_body import alias, aliases_in
from .kernels import Kernel, NativeFunction, Parameter
from .lower import CFunction, c_functions
from .names import c_comment
from .program import Program
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

    def print(self) -> str:
        program = self.program
        portable = [k for k in program.c_kernels if isinstance(k, Kernel)]
        natives = [k for k in program.c_kernels if isinstance(k, NativeFunction)]
        support = support_code(program.support)
        bodies = _bodies(portable)
        kernels = [portable_function(kernel, bodies[kernel.name]) for kernel in portable]
        kernels += [native_function(kernel) for kernel in natives]
        arrays = array_names(program, self.prefix)
        steps: list[StepCode] = []
        counted = 0
        for number, step in enumerate(program.steps):
            steps.append(step_code(number, step, program.network, self.interface, arrays, counted))
            counted += len(step.stages) if len(step.stages) > 1 else 0
        arrays_of_values = {a: program.network.constants[name] for name, a in arrays.items()}
        arrays_of_values |= initial_values(program, self.prefix)
        constants = [declaration(array, values) for array, values in arrays_of_values.items()]
        entry = self._entry(steps)
        code = wrap_code("\n\n".join([*kernels, *(step.text for step in steps), *entry]))
        code = "\n\n".join([*support, code])
        types = typedefs(code)
        used = standard_headers("\n".join([types, *constants, code]))
        headers = [f'#include "{self.prefix}.h"', "", *used]
        named = [(step.name, step.layers) for step in steps]
        debugging = macros(self.interface, named, laps=counted > 0)
        parts = ["\n".join(headers), types, "\n".join(constants), debugging, code]
        return guarded("\n\n".join(part for part in parts if part))

    # --- entry -------------------------------------------------------------------------------

    def _entry(self, steps: list[StepCode]) -> list[str]:
        prefix = self.prefix
        structs = f"struct {prefix}_inputs *inputs, struct {prefix}_outputs *outputs"
        parts = []
        members = [("inputs", p) for p in self.interface.inputs]
        members += [("outputs", p) for p in self.interface.outputs]
        arrays = [(kind, p) for kind, p in members if not p.row_streamed]
        run = check_arguments(self.interface, self._places())
        run += ["  int32_t status;"] if any(step.may_fail for step in steps) else []
        checks = " || ".join(f"{kind}->{port.member} == NULL" for kind, port in members)
        run += [f"  if ({checks}) {{", "    return -1;", "  }"]
        run += [] if self.interface.inputs else ["  (void)inputs;"]
        parts += reset_function(self.program, self.interface)
        run += begin_with_state(self.interface)
        calls = [
            line
            for number, step in enumerate(steps)
            for line in around_step(number, step.call_lines("  "))
        ]
        if self.interface.maps_io:
            places = self._port_addresses()
            lines = [f"  {kind}->{p.member} = {places[kind, p.member]};" for kind, p in arrays]
            unused = {"inputs", "outputs"} - {kind for kind, _ in arrays}
            lines = [*(f"  (void){kind};" for kind in sorted(unused)), *lines]
            if self.interface.arenas:
                lines += write_guards(self.interface)
            text = "\n".join(lines)
            parts.append(f"void {prefix}_map_io({structs}) {{\n{text}\n}}")
            copies: dict[str, list[str]] = {"inputs": [], "outputs": []}
            for kind, p in arrays:
                inside, outside = places[kind, p.member], f"{kind}->{p.member}"
                copies[kind] += self._copy(inside, outside, p, target=int(kind == "outputs"))
            calls = [*copies["inputs"], *calls, *copies["outputs"]]
        body = "\n".join([*run, *calls, "  return 0;"])
        parts.append(f"TVMGEN_HOT\nint32_t {prefix}_run({structs}) {{\n{body}\n}}")
        return parts

    def _copy(self, inside: str, outside: str, port: CPort, *, target: int) -> list[str]:
        pair = (inside, outside) if target == 0 else (outside, inside)
        return [
            f"  if ({outside} != {inside}) {{",
            f"    (void)memcpy({pair[0]}, {pair[1]}, {port.bytes});",
            "  }",
        ]

    def _places(self) -> list[PortPlace]:
        """What is known of the pointers to arrays that the application gives."""
        network = self.program.network
        places = self._port_addresses() if self.interface.maps_io else {}
        return [
            PortPlace(
                f"{kind}->{member.member}",
                places.get((kind, member.member), ""),
                network.values[port.value].spec.itemsize,
            )
            for kind, ports, members in (
                ("inputs", network.inputs, self.interface.inputs),
                ("outputs", network.outputs, self.interface.outputs),
            )
            for port, member in zip(ports, members)
            if not port.row_streamed
        ]

    def _port_addresses(self) -> dict[tuple[str, str], str]:
        network = self.program.network
        addresses = {}
        for kind, ports, members in (
            ("inputs", network.inputs, self.interface.inputs),
            ("outputs", network.outputs, self.interface.outputs),
        ):
            for port, member in zip(ports, members):
                if port.row_streamed:
                    continue
                value = network.values[port.value]
                placement = self.program.plan.placements[value.buffer]
                offset = placement.offset + value.offset
                place = self.arenas[placement.region]
                addresses[kind, member.member] = f"{place} + {offset}" if offset else place
        return addresses


def _bodies(kernels: Sequence[Kernel]) -> dict[str, CFunction]:
    """The kernels in C; a UserError names the first that TVM's generator cannot write."""
    try:
        return c_functions({k.name: k.function for k in kernels})
    except Exception:  # TVM's errors, which do not say in which function they are
        for kernel in kernels:
            try:
                c_functions({kernel.name: kernel.function})
            except Exception as error:
                raise UserError(
                    f"operator {kernel.comment}: no C can be generated for it; replace it in the "
                    "model"
                ) from error
        raise


def portable_function(kernel: Kernel, function: CFunction) -> str:
    """The definition of a portable kernel, whose body TVM's generator wrote."""
    names = function.parameters
    parameters = ", ".join(map(_declare, kernel.parameters, names))
    unused = [name for name in names if not re.search(rf"\b{name}\b", function.body)]
    marks = "".join(f"  (void){name};\n" for name in unused)
    body = function.body.removeprefix("{\n")
    return f"{_head(kernel.comment, kernel.name, parameters)}{{\n{marks}{body}"


def native_function(kernel: NativeFunction) -> str:
    """The definition of a function that a kernel generator wrote."""
    names = [parameter.name for parameter in kernel.parameters]
    parameters = ", ".join(_declare(parameter, parameter.name) for parameter in kernel.parameters)
    unused = [name for name in names if not re.search(rf"\b{name}\b", kernel.body)]
    marks = "".join(f"  (void){name};\n" for name in unused)
    body = textwrap.indent(kernel.body.strip("\n"), "  ")
    head = _head(kernel.comment, kernel.name, parameters, kernel.qualifiers)
    return f"{head}{{\n{marks}{body}\n}}"


def typedefs(code: str) -> str:
    """Definitions of the ``may_alias`` types that `code` uses."""
    names = sorted(aliases_in(code))
    return _PRELUDE + "\n".join(f"typedef {c_type(d)} TVMGEN_MAY_ALIAS {alias(d)};" for d in names)


def _head(comment: str, name: str, parameters: str, qualifiers: str = "") -> str:
    qualifiers = f"{qualifiers} static".lstrip()
    return f"/* {c_comment(comment)} */\nTVMGEN_HOT\n{qualifiers} void {name}({parameters}) "


def _declare(parameter: Parameter, name: str) -> str:
    if parameter.dtype is None:
        return f"int32_t {name}"
    const = "const " if parameter.read_only else ""
    return f"{const}{alias(parameter.dtype)} *{name}"
