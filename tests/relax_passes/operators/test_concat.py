"""Concatenation against NumPy, along every axis."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relax_passes.operators import OperatorClass, TensorSpec, operator_of
from tests.operator_checks import check_kernel, random_array
from tests.random_cases import cases
from tests.row_kernel_runner import RowKernel


@st.composite
def concatenations(draw):
    shape = draw(st.lists(st.integers(1, 4), min_size=1, max_size=5))
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    lengths = draw(st.lists(st.integers(1, 3), min_size=1, max_size=4))
    shapes = []
    for length in lengths:
        shape[axis] = length
        shapes.append(tuple(shape))
    gaps = draw(st.lists(st.integers(0, 2), min_size=len(lengths), max_size=len(lengths)))
    return shapes, axis, gaps


@given(
    concatenations(),
    st.integers(0, 2),
    st.sampled_from(["float32", "int8"]),
    st.integers(0, 2**32 - 1),
)
@cases(40)
def test_against_numpy(concatenation, out_gap, dtype, seed):
    shapes, axis, gaps = concatenation
    rng = np.random.default_rng(seed)
    arrays = [random_array(rng, shape, dtype) for shape in shapes]
    expected = np.concatenate(arrays, axis)
    check_kernel("concat", arrays, expected, gaps=gaps, out_gap=out_gap, axis=axis, in_place=())


def needed(kernel, argument):
    rows = range(kernel.signature.output.rows)
    return [kernel.operator.needed_rows(kernel.signature, argument, row) for row in rows]


def test_rows_along_the_channels():
    a, b = np.ones((1, 3, 2, 4), "int8"), np.zeros((1, 3, 2, 1), "int8")
    kernel = check_kernel("concat", [a, b], np.concatenate([a, b], 3), axis=3)
    assert needed(kernel, 0) == needed(kernel, 1) == [(0, 1), (1, 2), (2, 3)]
    assert kernel.operator.operator_class(kernel.signature) is OperatorClass.CONCAT
    assert kernel.operator.row_arguments(kernel.signature) == (0, 1)


def test_rows_along_the_height_of_two_images():
    a, b = np.ones((2, 1, 2, 4), "int8"), np.zeros((2, 2, 2, 4), "int8")
    kernel = check_kernel("concat", [a, b], np.concatenate([a, b], 1), axis=1)
    assert needed(kernel, 0) == [(0, 1), (1, 1), (1, 1), (1, 2), (2, 2), (2, 2)]
    assert needed(kernel, 1) == [(0, 0), (0, 1), (1, 2), (2, 2), (2, 3), (3, 4)]


def test_rows_along_the_batch():
    a, b = np.ones((1, 2, 2, 4), "int8"), np.zeros((2, 2, 2, 4), "int8")
    kernel = check_kernel("concat", [a, b], np.concatenate([a, b], 0), axis=0)
    assert needed(kernel, 0) == [(0, 1), (1, 2)] + [(2, 2)] * 4
    assert needed(kernel, 1) == [(0, 0)] * 2 + [(row, row + 1) for row in range(4)]


def test_marked_for_planning_the_kernel_stays_the_same():
    """A row that already lies in the output's buffer may be copied onto itself."""
    specs = [TensorSpec((1, 3, 2, 4), "int8", 5), TensorSpec((1, 3, 2, 1), "int8", 5)]
    kernel = RowKernel("concat", specs, axis=3, in_place=True)
    whole = np.arange(30, dtype="int8")
    for row in range(3):
        out = whole[row * 10 : (row + 1) * 10]
        kernel(row, [whole, whole[4:]], out)
    np.testing.assert_array_equal(whole, np.arange(30, dtype="int8"))


@pytest.mark.parametrize(
    ("shapes", "axis", "message"),
    [
        ([], 0, "at least one"),
        ([(2, 3), (2, 4)], 0, "differ in another axis"),
        ([(2, 3), (2, 3)], 2, "not an axis"),
        ([(1,) * 6], 0, "at most 5 axes"),
    ],
)
def test_refusals(shapes, axis, message):
    with pytest.raises(ValueError, match=message):
        operator_of("dero.concat").infer(
            tuple(TensorSpec(shape, "int8") for shape in shapes), {"axis": axis, "in_place": False}
        )


def test_operands_of_two_types_are_refused():
    specs = TensorSpec((2, 3), "int8"), TensorSpec((2, 3), "float32")
    with pytest.raises(ValueError, match="types int8 and float32"):
        operator_of("dero.concat").infer(specs, {"axis": 0, "in_place": False})
