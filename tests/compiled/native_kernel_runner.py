"""Runs a kernel in C for a core's features on the host, for tests of such kernels.

    kernel = NativeKernel("conv2d", [TensorSpec((1, 8, 8, 4), "int8"), ...],
                          {"weight": ..., ...}, features={"dsp"}, strides=(2, 2))
    kernel.run_rows(data)
    NativeKernel("reduce", ..., running_reduction=True).reduce_rows(data)

The function is compiled with UndefinedBehaviorSanitizer, once for each text.  Every array it gets
ends where a page begins that must not be touched, so reading too far crashes.
"""

from __future__ import annotations

import ctypes
import mmap
import subprocess
import tempfile
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from dero_tvm.aot.c_source import native_function, typedefs
from dero_tvm.aot.kernels import NativeFunction, native_parameters
from dero_tvm.aot.standard_headers import standard_headers
from dero_tvm.kernels import CKernel, Request, candidates
from dero_tvm.kernels.support import support_code
from relax_passes.operators import Signature, TensorSpec, operator_of
from tests.compiled.row_kernel_runner import strided, written_elements

FLAGS = (
    *("-std=c11", "-O1", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fPIC", "-shared"),
    *("-fsanitize=undefined", "-fno-sanitize-recover=all"),
)
_LIBC = ctypes.CDLL(None, use_errno=True)


class NativeKernel:
    """The preferred kernel of operator `name` on a core with `features`; `kernel` None if none."""

    def __init__(
        self,
        name: str,
        inputs: Sequence[TensorSpec],
        constants: Mapping[str, np.ndarray],
        *,
        features: Collection[str],
        out_pixel_stride: int = 0,
        running_reduction: bool = False,
        **attrs: Any,
    ) -> None:
        operator = operator_of(f"dero.{name}")
        assert operator is not None
        values = {**operator.defaults, **attrs}
        result = operator.infer(tuple(inputs), values)
        output = TensorSpec(result.shape, result.dtype, out_pixel_stride)
        self.operator = operator
        self.signature = Signature(f"dero.{name}", tuple(inputs), output, values)
        self.row_arguments = operator.row_arguments(self.signature)
        self.state = operator.running_state(self.signature) if running_reduction else None
        assert running_reduction == (self.state is not None), "is no running reduction"
        request = Request(
            self.signature,
            operator.operator_class(self.signature),
            constants,
            frozenset(features),
            self.state,
        )
        self.kernel: CKernel | None = next(candidates(request), None)

    def run_rows(self, *arrays: np.ndarray, ring: int = 0) -> np.ndarray:
        """The whole operator, row by row; with `ring`, from rings of that many rows more than
        each row needs.
        """
        output = self.signature.output
        specs = [self.signature.inputs[index] for index in self.row_arguments]
        wholes = [strided(a, s).reshape(s.rows, -1) for a, s in zip(arrays, specs, strict=True)]
        rows = [self.row(row, wholes, ring) for row in range(output.rows)]
        pixels = np.stack(rows).reshape(-1, output.pixel_stride)
        assert (pixels[:, output.channels :] == 77).all(), "wrote between pixels"
        return np.ascontiguousarray(pixels[:, : output.channels]).reshape(output.shape)

    def reduce_rows(self, data: np.ndarray, ring: int = 0) -> np.ndarray:
        """The only output row of a kernel with a state, which gets one row of `data` a call, in a
        ring of `ring` rows more.
        """
        spec, output = self.signature.inputs[0], self.signature.output
        assert self.kernel is not None and self.state is not None
        whole = strided(data, spec).reshape(spec.rows, -1)
        state = Guarded(np.full(self.state.elements, 55, self.state.dtype))
        out = Guarded(np.full(written_elements(output), 77, output.dtype))
        for row in range(spec.rows):
            height = min(1 + ring, spec.rows)
            rows = np.full((height, whole.shape[1]), 99, whole.dtype)
            rows[row % height] = whole[row]
            held = [Guarded(rows), *map(Guarded, self.kernel.constants.values())]
            pointers = [array.pointer for array in held]
            params = [ctypes.c_int32(row), pointers[0], ctypes.c_int32(height), *pointers[1:]]
            self._function()(*params, out.pointer, state.pointer)
        return out.array.reshape(output.shape)

    def row(self, row: int, wholes: Sequence[np.ndarray], ring: int = 0) -> np.ndarray:
        """Output row `row`, gaps between pixels included."""
        assert self.kernel is not None
        output = self.signature.output
        params: list[Any] = [ctypes.c_int32(row)]
        held = []
        for index, whole in zip(self.row_arguments, wholes):
            first, last = self.operator.needed_rows(self.signature, index, row)
            height = min(max(last - first, 1) + ring, len(whole)) if ring else len(whole)
            rows = np.full((height, whole.shape[1]), 99, whole.dtype)
            for needed in range(first, last):
                rows[needed % height] = whole[needed]
            held.append(Guarded(rows))
            params += [held[-1].pointer, ctypes.c_int32(height)]
        for array in self.kernel.constants.values():
            held.append(Guarded(array))
            params.append(held[-1].pointer)
        out = Guarded(np.full(written_elements(output), 77, output.dtype))
        scratch = Guarded(np.full(self.kernel.scratch, 55, np.int8))
        params += [out.pointer, *([scratch.pointer] if self.kernel.scratch else [])]
        self._function()(*params)
        full = np.full(output.row_stride, 77, output.dtype)
        full[: written_elements(output)] = out.array
        return full

    def _function(self) -> Any:
        assert self.kernel is not None
        source = _source(self.kernel, self.signature, self.row_arguments, self.state)
        return _compiled(source).kernel


class Guarded:
    """A copy of an array whose last byte is the last one before a forbidden page."""

    def __init__(self, array: np.ndarray) -> None:
        size = -(-max(array.nbytes, 1) // mmap.PAGESIZE) * mmap.PAGESIZE
        self._map = mmap.mmap(-1, size + mmap.PAGESIZE)
        start = ctypes.addressof(ctypes.c_char.from_buffer(self._map))
        assert _LIBC.mprotect(ctypes.c_void_p(start + size), mmap.PAGESIZE, 0) == 0
        self.pointer = ctypes.c_void_p(start + size - array.nbytes)
        self.array = np.frombuffer(self._map, array.dtype, array.size, size - array.nbytes).reshape(
            array.shape
        )
        self.array[...] = array


def _source(
    kernel: CKernel,
    signature: Signature,
    row_arguments: tuple[int, ...],
    state: TensorSpec | None,
) -> str:
    constants = {name: str(array.dtype) for name, array in kernel.constants.items()}
    parameters = native_parameters(
        signature, row_arguments, constants, state=state, scratch=bool(kernel.scratch)
    )
    function = NativeFunction(
        "kernel", kernel.text(), parameters, "", kernel.support, kernel.qualifiers
    )
    code = "\n\n".join([*support_code(kernel.support), native_function(function)])
    code = code.replace("static void kernel(", "void kernel(")
    headers = ["#include <stdint.h>", *standard_headers(typedefs(code) + code)]
    return "\n".join([*headers, typedefs(code), code])


@cache
def _compiled(source: str) -> ctypes.CDLL:
    with tempfile.TemporaryDirectory() as folder:
        file, library = Path(folder) / "kernel.c", Path(folder) / "kernel.so"
        file.write_text(source)
        subprocess.run(["gcc", *FLAGS, "-o", str(library), str(file), "-lm"], check=True)
        return ctypes.CDLL(str(library))
