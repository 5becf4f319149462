"""TransposeOutputs: before and after, and the bytes in C."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relax_passes.operators import TensorSpec, make_call
from relax_passes.residuals.transpose_outputs import TransposeOutputs, matrix_columns
from tests.compiled.operator_checks import check_kernel
from tests.compiled.row_kernel_runner import RowKernel
from tests.random_cases import cases
from tests.relax_passes.network_parts import (
    activation,
    assert_same_results,
    conv,
    network,
)


def transposed(x, *axes):
    return make_call("transpose", [x], axes=axes)


def operators(module):
    values = [binding.value for binding in module["main"].body.blocks[0].bindings]
    return [value.op.name for value in values if hasattr(value, "op")]


@given(st.integers(1, 12), st.integers(1, 12), st.sampled_from(["float32", "int8", "int64"]))
@cases(15)
def test_kernel(rows, columns, dtype):
    matrix = np.arange(rows * columns).reshape(rows, columns).astype(dtype)
    check_kernel(
        *("transpose_in_place", [matrix.reshape(1, -1)], matrix.T.reshape(1, -1)),
        in_place=(0,),
        columns=columns,
    )


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_outputs_are_transposed_in_place(dtype) -> None:
    before = network(
        lambda emit, x: transposed(emit(conv(x, 3)), 0, 3, 1, 2), (1, 6, 7, 4), dtype=dtype
    )
    after = TransposeOutputs()(before)
    assert operators(after)[1:] == ["dero.reshape", "dero.transpose_in_place", "dero.reshape"]
    assert_same_results(before, after)


LEFT_ALONE = {
    "input": lambda emit, x: transposed(x, 0, 3, 1, 2),
    "two readers": lambda emit, x: (
        lambda y: (emit(transposed(y, 0, 3, 1, 2)), emit(activation(y)))
    )(emit(conv(x, 3))),
    "inside": lambda emit, x: activation(emit(transposed(emit(conv(x, 3)), 0, 3, 1, 2))),
    "no matrix": lambda emit, x: transposed(emit(conv(x, 3)), 0, 2, 1, 3),
}


@pytest.mark.parametrize("name", LEFT_ALONE)
def test_others_stay(name) -> None:
    after = TransposeOutputs()(network(LEFT_ALONE[name], (1, 6, 7, 4)))
    assert "dero.transpose" in operators(after)


@pytest.mark.parametrize(
    ("shape", "axes", "columns"),
    [
        ((1, 6, 7, 3), (0, 3, 1, 2), 3),
        ((1, 3, 6, 7), (0, 2, 3, 1), 42),
        ((5, 4), (1, 0), 4),
        ((1, 6, 1, 3), (2, 3, 0, 1), 3),
        ((1, 6, 7, 3), (0, 3, 2, 1), None),
        ((1, 6, 1, 3), (0, 2, 1, 3), None),
        ((2, 6, 7, 3), (0, 3, 1, 2), None),
    ],
)
def test_which_permutations_are_transposes(shape, axes, columns) -> None:
    assert matrix_columns(shape, axes) == columns


@pytest.mark.parametrize("shape, columns", [((2, 6), 2), ((1, 6), 4), ((1, 6), 0)])
def test_refusals(shape, columns) -> None:
    with pytest.raises(ValueError, match=r"takes a tensor \[1, n\]|have not"):
        RowKernel("transpose_in_place", [TensorSpec(shape, "int8")], columns=columns)
