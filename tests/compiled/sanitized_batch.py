"""The programs of a `CBatch` as one executable under AddressSanitizer and UBSan.

Every arena, input and output is a heap block of exactly its size, so that an access beyond either
end is a report, and a report ends the process.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dero_tvm.aot.header import interface_of
from dero_tvm.aot.program import Program

# -O1: faster to compile and to run together than -O0 or -O2.
FLAGS = (
    *("-std=gnu11", "-O1", "-ffp-contract=off", "-g1"),
    *("-fsanitize=address,undefined", "-fno-sanitize-recover=all"),
)
HEAD = """\
#include <stdio.h>
#include <stdlib.h>
static void *block(size_t size, int fill) {
  void *made = malloc(size);
  if (made == NULL) exit(3);
  memset(made, 0x5A, size);
  if (fill && fread(made, 1, size, stdin) != size) exit(4);
  return made;
}
"""
TIME_LIMIT = 120.0  # seconds a program


def arena(array: str) -> str:
    """Makes `array` of the generated code a block that the main function allocates."""
    return f"static uint8_t *heap_{array};\n#define {array} heap_{array}\n"


def entry(name: str, program: Program) -> str:
    """A C function that runs a program: inputs from standard input, all that it leaves to output.

    It writes the inputs as they are afterwards, the outputs, and the number of kernel calls.
    """
    interface = interface_of(program)
    given, results = _sizes(program)
    lines = [f"static int main_{name}(void) {{"]
    lines += [f"  heap_{array} = block({size}, 0);" for _, array, size in interface.arenas]
    for label, sizes in (("given", given), ("results", results)):
        blocks = ", ".join(f"block({size}, {int(label == 'given')})" for size in sizes)
        lines.append(f"  void *{label}[] = {{{blocks}}};")
    lines += [
        f"  int status = {interface.prefix}_run((void *)given, (void *)results);",
        "  if (status != 0) return 5;",
    ]
    for label, sizes in (("given", given), ("results", results)):
        for i, size in enumerate(sizes):
            lines.append(f"  fwrite({label}[{i}], 1, {size}, stdout);")
            lines.append(f"  free({label}[{i}]);")
    lines += [f"  free(heap_{array});" for _, array, _ in interface.arenas]
    lines += ["  fwrite(&kernel_calls, 4, 1, stdout);", "  return 0;", "}", ""]
    return "\n".join(lines)


def main_function(names: list[str]) -> str:
    """Runs the program that the command line names."""
    cases = [f'  if (strcmp(argv[1], "{name}") == 0) return main_{name}();' for name in names]
    return "\n".join(
        [
            "int main(int argc, char **argv) {",
            "  if (argc != 2) return 6;",
            *cases,
            "  return 7;\n}\n",
        ]
    )


@dataclass(frozen=True)
class SanitizedPrograms:
    """The compiled executable; `run` as that of `CLibrary`."""

    executable: Path
    programs: Mapping[str, Program]

    def run(self, name: str, inputs: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], int]:
        """Outputs by name, and how often a kernel was called; AssertionError at a report."""
        network = self.programs[name].network
        data = b"".join(np.ascontiguousarray(inputs[p.name]).tobytes() for p in network.inputs)
        done = subprocess.run(
            [str(self.executable), name], input=data, capture_output=True, timeout=TIME_LIMIT
        )
        assert done.returncode == 0, f"status {done.returncode}: {done.stderr.decode()[:2000]}"
        assert done.stdout.startswith(data), "an input was changed"
        rest, outputs = done.stdout[len(data) :], {}
        for port in network.outputs:
            spec = network.values[port.value].spec
            size = int(np.prod(spec.shape)) * np.dtype(spec.dtype).itemsize
            outputs[port.name] = np.frombuffer(rest[:size], spec.dtype).reshape(spec.shape)
            rest = rest[size:]
        return outputs, int(np.frombuffer(rest, np.int32)[0])


def _sizes(program: Program) -> tuple[list[int], list[int]]:
    """Bytes of each input and of each output."""
    network = program.network
    specs = [
        [network.values[port.value].spec for port in p] for p in (network.inputs, network.outputs)
    ]
    given, results = (
        [int(np.prod(spec.shape)) * np.dtype(spec.dtype).itemsize for spec in of] for of in specs
    )
    return given, results
