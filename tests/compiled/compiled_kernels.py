"""Kernels as the C that the compiler generates, and as what LLVM makes of them, in one library."""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import tvm
from tvm import tirx

from dero_tvm.aot.c_source import portable_function, typedefs
from dero_tvm.aot.kernels import Kernel
from dero_tvm.aot.lower import c_functions, lowering
from dero_tvm.aot.standard_headers import standard_headers

FLAGS = (
    *("-std=c11", "-O0", "-ffp-contract=off", "-fPIC", "-shared"),
    *("-Wall", "-Wextra", "-Wpedantic", "-Werror"),
)
# Not optimized: TVM tells LLVM that pointers of different types never meet, which an output on top
# of an operand disproves.
TARGET = tvm.target.Target({"kind": "llvm", "opt-level": 0})


def compile_kernels(kernels: Mapping[str, Kernel]) -> ctypes.CDLL:
    """Functions by the kernels' names, which are C, and by ``<name>_by_llvm``."""
    bodies = c_functions({name: kernel.function for name, kernel in kernels.items()})
    code = "\n".join(portable_function(kernel, bodies[name]) for name, kernel in kernels.items())
    code = code.replace("TVMGEN_HOT\nstatic void ", "void ")
    headers = ["#include <stdint.h>", *standard_headers(typedefs(code) + code)]
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder) / "kernels.c", Path(folder) / "kernels.so"
        source.write_text("\n".join([*headers, typedefs(code), code]))
        object_file = source.with_suffix(".o")
        _by_llvm(kernels).write_to_file(str(object_file), "o")
        command = ["gcc", *FLAGS, "-o", str(library), str(source), str(object_file), "-lm"]
        subprocess.run(command, check=True)
        return ctypes.CDLL(str(library))


def _by_llvm(kernels: Mapping[str, Kernel]) -> tvm.runtime.Module:
    functions = {
        f"{name}_by_llvm": kernel.function.with_attr("global_symbol", f"{name}_by_llvm").with_attr(
            "target", TARGET
        )
        for name, kernel in kernels.items()
    }
    passes = [*lowering(), tirx.transform.LowerIntrin()]
    lowered = tvm.transform.Sequential(passes)(tvm.IRModule(functions))
    return tvm.get_global_func("target.build.llvm")(lowered, TARGET)
