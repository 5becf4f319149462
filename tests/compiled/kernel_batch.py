"""Many row kernels in one program, on the host or on an emulated board, one start for all.

    batch = KernelBatch()
    batch.add(NativeKernel(...), [data], ring=1)
    for output in batch.run_on_host(): ...
    for output in batch.run_on_board("mps3-an547", folder): ...

Every row is made from rings of the rows that it needs and `ring` more.  On the host the program is
compiled with AddressSanitizer and UndefinedBehaviorSanitizer, and every buffer has its exact size.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from dero_tvm.aot.c_source import native_function, typedefs
from dero_tvm.aot.kernels import NativeFunction, native_parameters
from dero_tvm.aot.standard_headers import standard_headers
from dero_tvm.boards.board import load_board
from dero_tvm.boards.board_folders import targets_folder
from dero_tvm.kernels.support import support_code
from dero_tvm.runners.baremetal import linker_script
from tests.compiled.native_kernel_runner import NativeKernel
from tests.compiled.row_kernel_runner import strided, written_elements

GAP = 77  # what lies between the pixels of an output
_FLAGS = ("-std=c11", "-Wall", "-Wextra", "-Werror", "-DHARNESS_GUARD_BYTES=16")
_SANITIZERS = ("-O0", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-DON_HOST")
_STACK = 8192
_INFERENCE = 20  # bytes of the harness before the outputs: status, measurement, guards

_HEAD = """\
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "harness.h"

#ifdef ON_HOST
static void *buffer(uint32_t bytes) { return malloc(bytes); }
static void release(void *memory) { free(memory); }
#else
static _Alignas(16) uint8_t pool[1 << 17];
static uint32_t taken;
static void *buffer(uint32_t bytes) {
  uint8_t *start = pool + taken;
  taken += (bytes + 7u) & ~7u;
  return taken <= sizeof pool ? start : 0;
}
static void release(void *memory) { (void)memory, taken = 0; }
#endif

/* The rows [first, last) of a tensor, of `row` bytes, in a ring. */
static void *ring_of(const void *tensor, int32_t row, int32_t height, int32_t first,
                     int32_t last) {
  int8_t *ring = buffer((uint32_t)(row * height));
  for (int32_t i = first; i < last; ++i) {
    memcpy(ring + i % height * row, (const int8_t *)tensor + i * row, (uint32_t)row);
  }
  return ring;
}
"""
_TAIL = """\
int32_t harness_run_model(void) {
  run();
  return 0;
}
void harness_set_addresses(void) {}
static void *results_address = results;
const struct harness_arena harness_arenas[1];
const uint32_t harness_arena_count = 0;
const struct harness_tensor harness_inputs[1];
const uint32_t harness_input_count = 0;
const struct harness_tensor harness_outputs[1] = {{&results_address, sizeof results}};
const uint32_t harness_output_count = 1;
uint64_t *const harness_profile = 0;
const uint32_t harness_step_count = 0;
uint64_t *const harness_operator_profile = 0;
const uint32_t harness_operator_count = 0;
#ifdef ON_HOST
int main(void) {
  run();
  return fwrite(results, sizeof results, 1, stdout) != 1;
}
#endif
"""


class KernelBatch:
    """Collects kernels with their operands."""

    def __init__(self) -> None:
        self._functions: dict[str, str] = {}  # text -> name
        self._support: dict[Path, None] = {}
        self._arrays: list[str] = []
        self._calls: list[str] = []
        self._outputs: list[tuple[NativeKernel, int]] = []
        self._bytes = 0

    def add(
        self,
        native: NativeKernel,
        arrays: Sequence[np.ndarray],
        ring: int = 0,
        over: int | None = None,
    ) -> None:
        """`arrays` are the operands that are read row by row, of which one may be written `over`.

        `over` is its position among them; it is as dense as the output, and read row for row.
        """
        assert native.kernel is not None
        number, kernel = len(self._outputs), native.kernel
        constants = []
        for name, array in kernel.constants.items():
            constants.append(self._array(f"case_{number}_{name}", array))
        specs = [native.signature.inputs[index] for index in native.row_arguments]
        tensors = [
            self._array(f"case_{number}_data_{i}", strided(array, spec))
            for i, (array, spec) in enumerate(zip(arrays, specs, strict=True))
        ]
        output = native.signature.output
        owned = written_elements(output) * output.itemsize
        for row in range(output.rows):
            lines, arguments, held = [], [str(row)], []
            for i, spec in enumerate(specs):
                argument = native.row_arguments[i]
                first, last = native.operator.needed_rows(native.signature, argument, row)
                height = min(max(last - first, 1) + ring, spec.rows)
                call = f"ring_of({tensors[i]}, {spec.row_bytes}, {height}, {first}, {last})"
                lines.append(f"void *ring_{i} = {call};")
                arguments += [f"ring_{i}", str(height)]
                held.append(f"ring_{i}")
            if over is None:
                lines.append(f"void *out = buffer({owned});")
                lines.append(f"memset(out, {GAP}, {owned});")
                held.append("out")
            else:
                height = arguments[2 + 2 * over]
                place = f"{row} % {height} * {specs[over].row_bytes}"
                lines.append(f"void *out = (int8_t *)ring_{over} + {place};")
            arguments += [*constants, "out"]
            if kernel.scratch:
                lines.append(f"int8_t *scratch = buffer({kernel.scratch});")
                arguments.append("scratch")
                held.append("scratch")
            lines.append(f"{self._function(native)}({', '.join(arguments)});")
            lines.append(f"memcpy(results + {self._bytes}, out, {owned});")
            lines += [f"release({memory});" for memory in held]
            self._calls += ["  {", *(f"    {line}" for line in lines), "  }"]
            self._bytes += owned
        self._outputs.append((native, owned))

    def run_on_host(self, compiler: str = "gcc") -> list[np.ndarray]:
        """The output of every kernel, dense."""
        return self._split(_printed_on_host(self._text(), compiler))

    def run_on_board(self, name: str, folder: Path) -> list[np.ndarray]:
        """The same on an emulated board."""
        board = load_board(name)
        assert board.flash is not None and board.qemu is not None
        source, image, targets = folder / "batch.c", folder / "batch.elf", targets_folder()
        source.write_text(self._text())
        template = (targets / "baremetal" / "link.ld.in").read_text()
        script = folder / "link.ld"
        script.write_text(linker_script(template, board, board.flash, {}, model_stack=_STACK))
        command = [
            *("arm-none-eabi-gcc", "-O2", *_FLAGS, *board.flags, "-DHARNESS_FILL=0xA5"),
            f"-DPLATFORM_COUNTER={board.qemu.counter:#x}u",
            *(f"-I{targets / folder}" for folder in ("harness", "baremetal")),
            *(str(source), str(targets / "harness" / "harness.c")),
            *(str(path) for path in sorted((targets / "baremetal").glob("*.c"))),
            *("-nostartfiles", f"-Wl,-T,{script}", "-o", str(image)),
        ]
        subprocess.run(command, check=True)
        (folder / "inputs.bin").write_bytes(np.uint32(1).tobytes())
        emulator = [
            *("qemu-system-arm", "-M", board.qemu.machine, "-nic", "none"),
            *("-display", "none", "-monitor", "none", "-serial", "none"),
            *("-semihosting-config", "enable=on,target=native", "-kernel", str(image)),
        ]
        subprocess.run(emulator, check=True, cwd=folder, timeout=120)
        return self._split((folder / "outputs.bin").read_bytes()[4 + _INFERENCE :])

    def _text(self) -> str:
        functions = "\n\n".join(self._functions)
        code = "\n\n".join([*support_code(self._support), functions])
        run = "\n".join(["static void run(void) {", *self._calls, "}"])
        results = f"static int8_t results[{self._bytes}];"
        parts = [_HEAD, *standard_headers(typedefs(code) + code), typedefs(code), code]
        return "\n".join([*parts, *self._arrays, results, run, _TAIL])

    def _function(self, native: NativeKernel) -> str:
        kernel = native.kernel
        assert kernel is not None
        self._support.update(dict.fromkeys(kernel.support))
        constants = {name: str(array.dtype) for name, array in kernel.constants.items()}
        parameters = native_parameters(
            native.signature,
            native.row_arguments,
            constants,
            state=None,
            scratch=bool(kernel.scratch),
        )
        function = NativeFunction("@", kernel.text(), parameters, "", (), kernel.qualifiers)
        text = native_function(function)
        for known, name in self._functions.items():
            if known.replace(f" {name}(", " @(") == text:
                return name
        name = f"kernel_{len(self._functions)}"
        self._functions[text.replace(" @(", f" {name}(")] = name
        return name

    def _array(self, name: str, array: np.ndarray) -> str:
        values = ", ".join(map(str, array.reshape(-1)))
        self._arrays.append(f"static const {array.dtype}_t {name}[] = {{{values}}};")
        return name

    def _split(self, results: bytes) -> list[np.ndarray]:
        assert len(results) == self._bytes
        values = np.frombuffer(results, np.int8)
        outputs, place = [], 0
        for native, owned in self._outputs:
            output = native.signature.output
            rows = np.full((output.rows, output.row_bytes), GAP, np.int8)
            rows[:, :owned] = values[place : place + output.rows * owned].reshape(-1, owned)
            place += output.rows * owned
            pixels = rows.view(output.dtype).reshape(-1, output.pixel_stride)
            between = np.ascontiguousarray(pixels[:, output.channels :]).view(np.int8)
            assert (between == GAP).all(), "wrote between pixels"
            outputs.append(pixels[:, : output.channels].reshape(output.shape))
        return outputs


@cache  # several cores may have the same kernels
def _printed_on_host(text: str, compiler: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder) / "batch.c", Path(folder) / "batch"
        source.write_text(text)
        command = [compiler, *_FLAGS, *_SANITIZERS, f"-I{targets_folder() / 'harness'}"]
        subprocess.run([*command, "-o", str(program), str(source)], check=True)
        return subprocess.run([str(program)], check=True, stdout=subprocess.PIPE).stdout
