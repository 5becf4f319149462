"""Runs a single row kernel on the host, for tests of kernels.

What runs is the C that the compiler generates of it, as a function over raw pointers, so a test
chooses every address: rings lower than the tensor, pixel strides, an output on top of an operand.
`run_rows` compares it with what LLVM makes of the same kernel, and with that of its running
reduction if it has one.

    kernel = RowKernel("pool2d", [TensorSpec((1, 8, 8, 3), "int8")], kind="max", pool_size=(2, 2))
    kernel.run_rows(data)                     # the whole operator, row by row
    kernel(2, [data], out)                    # output row 2 into the array `out`
    assert_reads_only_needed_rows(kernel, [data])
    assert_in_place(kernel, [data])
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from dero_tvm.aot.kernels import Kernel, KernelTable
from dero_tvm.schedule.network import Operation
from relax_passes.operators import Operator, Signature, TensorSpec, operator_of
from tests.compiled.compiled_kernels import compile_kernels

CANARY = 77  # what lies where an output is to be, and between its pixels


class RowKernel:
    """A compiled row kernel of operator `name` on operands `inputs`."""

    def __init__(
        self,
        name: str,
        inputs: Sequence[TensorSpec],
        *,
        out_pixel_stride: int = 0,
        **attrs: Any,
    ) -> None:
        operator = operator_of(f"dero.{name}")
        assert operator is not None, f"no operator dero.{name}"
        assert set(attrs) <= set(operator.defaults), sorted(set(attrs) - set(operator.defaults))
        values = {**operator.defaults, **attrs}
        result = operator.infer(tuple(inputs), values)
        output = TensorSpec(result.shape, result.dtype, out_pixel_stride)
        self.operator: Operator = operator
        self.signature = Signature(f"dero.{name}", tuple(inputs), output, values)
        self.state = operator.running_state(self.signature)
        self._row_arguments = operator.row_arguments(self.signature)
        library = compile_kernels(self._kernels())
        self._function, self._by_llvm = library.row_kernel, library.row_kernel_by_llvm
        self._running_kernel = library.running_kernel if self.state else None
        self._scratch = np.zeros(max(operator.scratch_bytes(self.signature), 1), np.int8)

    def _kernels(self) -> dict[str, Kernel]:
        """The kernels that a compilation would generate."""
        operation = Operation(
            self.signature.operator,
            self.signature,
            ("",) * len(self.signature.inputs),
            "",
            self._row_arguments,
            self.operator.scratch_bytes(self.signature),
        )
        kernels = {"row_kernel": KernelTable([], lambda _: {}).of(operation, {})}
        if self.state:
            kernels["running_kernel"] = KernelTable([], lambda _: {}).of(
                replace(operation, state=self.state), {}
            )
        return {name: replace(kernel, name=name) for name, kernel in kernels.items()}

    def __call__(
        self,
        row: int,
        arrays: Sequence[np.ndarray],
        out: np.ndarray,
        rings: dict[int, int] | None = None,
    ) -> None:
        """Compute output row `row` into `out` (a writable array that starts with that row).

        `arrays` are the buffers of all tensor arguments, laid out as their `TensorSpec` says;
        `rings` gives the ring height of a row argument where it is not the whole tensor.
        """
        self._function(*self._arguments(row, arrays, out, rings))

    def _arguments(
        self,
        row: int,
        arrays: Sequence[np.ndarray],
        out: np.ndarray,
        rings: dict[int, int] | None = None,
    ) -> list[Any]:
        assert out.flags.c_contiguous and out.dtype == self.signature.output.dtype
        assert out.size >= written_elements(self.signature.output)
        params: list[Any] = [ctypes.c_int32(row)]
        for index, (array, spec) in enumerate(zip(arrays, self.signature.inputs, strict=True)):
            assert array.flags.c_contiguous and array.dtype == spec.dtype
            params.append(ctypes.c_void_p(array.ctypes.data))
            if index in self._row_arguments:
                params.append(ctypes.c_int32((rings or {}).get(index, spec.rows)))
        params.append(ctypes.c_void_p(out.ctypes.data))
        if self.operator.scratch_bytes(self.signature):
            params.append(ctypes.c_void_p(self._scratch.ctypes.data))
        return params

    def run_rows(self, *arrays: np.ndarray) -> np.ndarray:
        """The whole operator, row by row, on dense arrays of the operands' shapes.

        Operands with a pixel stride are laid out with gaps first.  Gaps of the output must come
        out untouched; the dense output is returned.
        """
        output = self.signature.output
        buffers = [strided(a, spec) for a, spec in zip(arrays, self.signature.inputs, strict=True)]
        rows = self._all_rows(self._function, buffers)
        by_llvm = self._all_rows(self._by_llvm, buffers)
        # Both call the C library's functions, which LLVM replaces in part.
        tolerance = 1e-6 if output.dtype.startswith("float") else 0
        np.testing.assert_allclose(by_llvm, rows, tolerance, tolerance, err_msg="by LLVM")
        if self.state:
            np.testing.assert_array_equal(self._reduced(buffers), rows, err_msg="running reduction")
        pixels = rows.reshape(-1, output.pixel_stride)
        between = pixels[:, output.channels :]
        assert (between == np.array(CANARY, output.dtype)).all(), "wrote between pixels"
        return np.ascontiguousarray(pixels[:, : output.channels]).reshape(output.shape)

    def _all_rows(self, function: Any, buffers: Sequence[np.ndarray]) -> np.ndarray:
        output = self.signature.output
        rows = np.full((output.rows, output.row_stride), CANARY, output.dtype)
        for row in range(output.rows):
            function(*self._arguments(row, buffers, rows[row]))
        return rows

    def _reduced(self, buffers: Sequence[np.ndarray]) -> np.ndarray:
        """The only output row, of an input that is there one row at a time."""
        assert self.state is not None and self._running_kernel is not None
        output, spec = self.signature.output, self.signature.inputs[0]
        state = np.full(self.state.elements, CANARY, self.state.dtype)
        out = np.full((1, output.row_stride), CANARY, output.dtype)
        for row, one in enumerate(buffers[0].reshape(spec.rows, -1)):
            arguments = self._arguments(row, [one, *buffers[1:]], out, {0: 1})
            self._running_kernel(*arguments, ctypes.c_void_p(state.ctypes.data))
        return out


def strided(array: np.ndarray, spec: TensorSpec) -> np.ndarray:
    """`array` in the memory layout of `spec`, with arbitrary values in the gaps."""
    assert tuple(array.shape) == spec.shape, f"{array.shape} is not {spec.shape}"
    array = np.ascontiguousarray(array, spec.dtype)
    if spec.dense:
        return array
    pixels = np.full((spec.elements // spec.channels, spec.pixel_stride), 55, spec.dtype)
    pixels[:, : spec.channels] = array.reshape(-1, spec.channels)
    return pixels


def written_elements(spec: TensorSpec) -> int:
    """Elements from the first to the last that a row of `spec` owns."""
    return (spec.pixels - 1) * spec.pixel_stride + spec.channels


def assert_reads_only_needed_rows(kernel: RowKernel, arrays: Sequence[np.ndarray]) -> None:
    """Every output row stays the same when all rows outside `needed_rows` change.

    It must also stay the same when the needed rows, and no others, lie in a ring that is exactly
    as high as they are many.
    """
    expected = kernel.run_rows(*arrays).reshape(kernel.signature.output.rows, -1)
    for row in range(kernel.signature.output.rows):
        poisoned, rings = [], {}
        for index, (array, spec) in enumerate(zip(arrays, kernel.signature.inputs, strict=True)):
            if index not in kernel.operator.row_arguments(kernel.signature):
                poisoned.append(strided(array, spec))
                continue
            first, last = kernel.operator.needed_rows(kernel.signature, index, row)
            assert 0 <= first <= last <= spec.rows
            whole = strided(array, spec).reshape(spec.rows, spec.row_stride)
            height = max(last - first, 1)
            ring = np.full((height, spec.row_stride), 99, spec.dtype)
            for needed in range(first, last):
                ring[needed % height] = whole[needed]
            poisoned.append(ring)
            rings[index] = height
        out = np.zeros(kernel.signature.output.row_stride, kernel.signature.output.dtype)
        kernel(row, poisoned, out, rings)
        pixels = out.reshape(-1, kernel.signature.output.pixel_stride)
        actual = pixels[:, : kernel.signature.output.channels].reshape(-1)
        np.testing.assert_array_equal(actual, expected[row], err_msg=f"output row {row}")


def assert_in_place(kernel: RowKernel, arrays: Sequence[np.ndarray]) -> None:
    """Writing each output row over the operand's row gives the same result.

    Checked for every operand in `in_place_arguments`, which must not be empty; the other
    operands must come out unharmed.
    """
    signature = kernel.signature
    candidates = kernel.operator.in_place_arguments(signature)
    assert candidates, f"{signature.operator} declares no argument that may be overwritten"
    expected = kernel.run_rows(*arrays).reshape(-1, signature.output.channels)
    for index in candidates:
        assert signature.output.row_bytes <= signature.inputs[index].row_bytes
        buffers = [strided(a, s).copy() for a, s in zip(arrays, signature.inputs, strict=True)]
        before = [buffer.copy() for buffer in buffers]
        target = buffers[index].reshape(signature.inputs[index].rows, -1)
        results = []
        for row in range(signature.output.rows):
            kernel(row, buffers, target[row].view(signature.output.dtype))
            pixels = target[row].view(signature.output.dtype)[: signature.output.row_stride]
            pixels = pixels.reshape(-1, signature.output.pixel_stride)
            results.append(pixels[:, : signature.output.channels].copy())
        np.testing.assert_array_equal(
            np.concatenate(results), expected, err_msg=f"in place of operand {index}"
        )
        for other, (now, then) in enumerate(zip(buffers, before, strict=True)):
            if other != index:
                np.testing.assert_array_equal(now, then, err_msg=f"operand {other} was changed")
