"""Many generated programs in one C file: one compiler run, and each kernel compiled once.

    batch = CBatch()
    batch.add("a", program)          # names become parts of C names
    library = batch.build(folder)
    outputs, calls = library.run("a", inputs)

Every program has an arena of exactly the planned size between guard bytes, of which only the state
is kept from one run to the next; with `sanitize` all is built under sanitizers instead, see
`sanitized_batch`.
"""

from __future__ import annotations

import ctypes
import re
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tvm import tirx

from dero_tvm.aot import c_source as printer
from dero_tvm.aot.c_constants import array_names, definition
from dero_tvm.aot.c_source import c_source, typedefs
from dero_tvm.aot.c_state import initial_values
from dero_tvm.aot.column_ranges import END
from dero_tvm.aot.compiler_faults import GUARD_BEGIN, GUARD_END
from dero_tvm.aot.header import header, interface_of
from dero_tvm.aot.kernels import Kernel
from dero_tvm.aot.lower import CFunction, c_functions
from dero_tvm.aot.program import Program, build_program
from dero_tvm.driver.candidates import Candidate
from dero_tvm.driver.choose_plan import smallest
from dero_tvm.driver.dero_levels import Dero
from dero_tvm.driver.network_planner import naming
from dero_tvm.driver.prepare import PreparedModel, prepare
from dero_tvm.frontends import LoadedModel
from tests.compiled import sanitized_batch
from tests.compiled.sanitized_batch import SanitizedPrograms

GUARD = 64
PATTERN = 0x5A
_TIME_LIMIT = 0.1  # seconds a plan, of which these tests do not want the smallest
_HEAD = """\
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
int32_t kernel_calls;
double kernel_macs;
"""
_FUNCTION = r"^/\* [^\n]* \*/\nTVMGEN_HOT\nstatic void {}\(([^{{}};]*)\) \{{\n(.*?)^\}}\n"


class CBatch:
    """Collects programs."""

    def __init__(self, sanitize: bool = False) -> None:
        self._sanitize = sanitize
        self._programs: dict[str, Program] = {}
        self._kernels: dict[str, str] = {}  # text -> name
        self._parts: list[str] = []

    def add(self, name: str, program: Program) -> None:
        """Generate the C of `program`; `name` is unique in the batch."""
        program = replace(program, network=replace(program.network, name=name))
        self._programs[name] = program
        interface = interface_of(program)
        text = _generate(program).replace(GUARD_BEGIN, "").replace(GUARD_END, "")
        text = text[re.search(r"^extern const|^/\*(?! \*?\n? \* The arena)", text, re.M).start() :]
        macs = _macs_of_a_column(program)
        called = {kernel.name for kernel in program.c_kernels}
        for kernel in program.kernels:
            if kernel.name not in called:  # all of its rows are left out
                continue
            pattern = re.compile(_FUNCTION.format(kernel.name), re.MULTILINE | re.DOTALL)
            match = pattern.search(text)
            assert match, f"no kernel {kernel.name} in the C source"
            columns, of_each = macs.get(kernel.name, (0, 0.0))
            made = "column_end - column_begin" if END in match[1] else str(columns)
            count = f"  kernel_macs += {of_each!r} * ({made});\n" if of_each else ""
            body = f"({match[1]}) {{\n  ++kernel_calls;\n{count}{match[2]}}}\n"
            pooled = self._kernels.setdefault(body, f"kernel_{len(self._kernels)}")
            text = text[: match.start()] + text[match.end() :]
            text = re.sub(rf"\b{kernel.name}\(", f"{pooled}(", text)
        text = re.sub(r"\bstep_(\d+)_", rf"{name}_step_\1_", text)
        text = re.sub(r"\bstate_is_set\b", f"{name}_state_is_set", text)
        areas, macros = [], []
        for _, array, size in interface.arenas:
            if self._sanitize:
                areas.append(sanitized_batch.arena(array))
                continue
            areas.append(
                f"struct {{ uint8_t before[{GUARD}], arena[{size}], after[{GUARD}]; }}\n"
                f"    __attribute__((aligned(16))) area_{array};"
            )
            macros.append(f"#define {array} (area_{array}.arena)")
        arrays = array_names(program, interface.prefix)
        values = {a: program.network.constants[n] for n, a in arrays.items()}
        values |= initial_values(program, interface.prefix)
        constants = [definition(array, data) for array, data in values.items()]
        self._parts += [header(program, interface), *areas, *macros, *constants, text]
        if self._sanitize:
            self._parts.append(sanitized_batch.entry(name, program))

    def build(self, folder: Path, compiler: str = "gcc") -> CLibrary | SanitizedPrograms:
        """Compile everything added so far."""
        if self._sanitize:
            return self._build_sanitized(folder, compiler)
        source, library = folder / "batch.c", folder / "batch.so"
        source.write_text("\n".join([_HEAD, self._code()]))
        command = [compiler, "-std=gnu11", "-O0", "-ffp-contract=off", "-fPIC", "-shared"]
        subprocess.run([*command, "-o", str(library), str(source), "-lm"], check=True)
        return CLibrary(ctypes.CDLL(str(library)), self._programs)

    def _code(self) -> str:
        kernels = [f"static void {name}{text}" for text, name in self._kernels.items()]
        code = "\n".join([*kernels, *self._parts])
        return "\n".join([typedefs(code), code])

    def _build_sanitized(self, folder: Path, compiler: str) -> SanitizedPrograms:
        source, program = folder / "batch.c", folder / "batch"
        main = sanitized_batch.main_function(list(self._programs))
        source.write_text("\n".join([_HEAD, sanitized_batch.HEAD, self._code(), main]))
        command = [compiler, *sanitized_batch.FLAGS, "-o", str(program), str(source), "-lm"]
        subprocess.run(command, check=True)
        return SanitizedPrograms(program, self._programs)


def library_of(programs: Mapping[str, Program]) -> CLibrary:
    """All of them in one library."""
    batch = CBatch()
    for name, program in programs.items():
        batch.add(name, program)
    with tempfile.TemporaryDirectory() as folder:
        library = batch.build(Path(folder))
    assert isinstance(library, CLibrary)
    return library


def streamed_library(models: Mapping[str, Any]) -> CLibrary:
    """The program of each model: see `streamed_program`."""
    return library_of({name: streamed_program(model) for name, model in models.items()})


def streamed_program(model: Any) -> Program:
    """A program of a model for the host with an address for every row, or else in rings."""
    prepared = prepare(model, target="host", time_limit=_TIME_LIMIT)
    return _program(prepared, next(prepared.candidates().likely()))


def streamed_and_whole(model: Any) -> tuple[Program, Program]:
    """What `streamed_program` gives, and the program with every tensor whole."""
    prepared = prepare(model, target="host", time_limit=_TIME_LIMIT)
    candidates = prepared.candidates()
    chosen = (next(candidates.likely()), smallest(candidates, Dero.NONE))
    return _program(prepared, chosen[0]), _program(prepared, chosen[1])


def programs_of(model: Any, modes: Iterable[Dero] = tuple(Dero)) -> dict[Dero, Program]:
    """The first program of each mode, small or not, for the host, with portable kernels."""
    prepared = prepare(model, target="host", time_limit=_TIME_LIMIT)
    return {mode: first_program(prepared, mode) for mode in modes}


def first_program(prepared: PreparedModel, mode: Dero) -> Program:
    """The first program of a mode, small or not."""
    return _program(prepared, next(prepared.candidates().of(mode)))


def _program(prepared: PreparedModel, candidate: Candidate) -> Program:
    with naming(prepared.planner.label):
        return build_program(candidate.scheduled, candidate.plan)


def whole_program(model: LoadedModel) -> Program:
    """The program of a model for the host with every tensor whole, with portable kernels."""
    prepared = prepare(model, target="host", time_limit=_TIME_LIMIT)
    return _program(prepared, smallest(prepared.candidates(), Dero.NONE))


@dataclass(frozen=True)
class CLibrary:
    """The compiled programs."""

    library: Any
    programs: Mapping[str, Program]

    def run(self, name: str, inputs: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], int]:
        """Outputs by name, and how often a kernel was called; AssertionError at a hurt guard."""
        program = self.programs[name]
        interface = interface_of(program)
        areas = [
            (ctypes.c_uint8 * (size + 2 * GUARD)).in_dll(self.library, f"area_{array}")
            for _, array, size in interface.arenas
        ]
        state = self._state(name)
        kept = bytes(state)
        for area in areas:
            ctypes.memset(area, PATTERN, len(area))
        ctypes.memmove(state, kept, len(kept))
        network = program.network
        given = [np.ascontiguousarray(inputs[port.name]).copy() for port in network.inputs]
        specs = [network.values[port.value].spec for port in network.outputs]
        results = [np.zeros(spec.shape, spec.dtype) for spec in specs]
        count = ctypes.c_int32.in_dll(self.library, "kernel_calls")
        count.value = 0
        macs = ctypes.c_double.in_dll(self.library, "kernel_macs")
        macs.value = 0.0
        status = self.library[f"{interface.prefix}_run"](_pointers(given), _pointers(results))
        assert status == 0
        for area in areas:
            guards = bytes(area[:GUARD]) + bytes(area[-GUARD:])
            assert guards == bytes([PATTERN]) * len(guards), "wrote outside the arena"
        for port, array in zip(network.inputs, given):
            np.testing.assert_array_equal(array, inputs[port.name])
        return {p.name: r for p, r in zip(network.outputs, results)}, count.value

    @property
    def macs(self) -> float:
        """Multiply-accumulates of the last run, counted by the kernels."""
        return ctypes.c_double.in_dll(self.library, "kernel_macs").value

    def reset(self, name: str) -> None:
        """Let the next run be the first one of a new sequence."""
        self.library[f"tvmgen_{name}_reset"]()

    def _state(self, name: str) -> Any:
        """The bytes of a program's arena that last."""
        state = interface_of(self.programs[name]).state
        if state is None:
            return (ctypes.c_uint8 * 0)()
        length = GUARD + state.offset + state.size
        area = (ctypes.c_uint8 * length).in_dll(self.library, f"area_{state.array}")
        return (ctypes.c_uint8 * state.size).from_buffer(area, GUARD + state.offset)


def _pointers(arrays: list[np.ndarray]) -> Any:
    return (ctypes.c_void_p * len(arrays))(*(array.ctypes.data for array in arrays))


def _macs_of_a_column(program: Program) -> dict[str, tuple[int, float]]:
    """By kernel: columns of its row, and multiply-accumulates of each."""
    found = {}
    for stage in (stage for step in program.steps for stage in step.inner_stages):
        if isinstance(stage.kernel, Kernel) and stage.operation.macs:
            output = stage.operation.signature.output
            calls = output.rows if stage.kernel.by_row else 1
            of_each = stage.operation.macs / (calls * output.pixels)
            found[stage.kernel.name] = output.pixels, of_each
    return found


_LOWERED: dict[tirx.PrimFunc, CFunction] = {}


def _generate(program: Program) -> str:
    """`c_source`, with every kernel lowered once a process."""

    def lowered(functions: Mapping[str, tirx.PrimFunc]) -> dict[str, CFunction]:
        new = {name: f for name, f in functions.items() if f not in _LOWERED}
        if new:
            _LOWERED.update((functions[name], c) for name, c in c_functions(new).items())
        return {name: _LOWERED[function] for name, function in functions.items()}

    before, printer.c_functions = printer.c_functions, lowered
    try:
        return c_source(program, interface_of(program))
    finally:
        printer.c_functions = before
