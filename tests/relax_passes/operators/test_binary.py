"""Binary operators on float32, and on int8 where they need no scales, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import mutually_broadcastable_shapes

from relax_passes.operators import OperatorClass, TensorSpec, operator_of
from tests.operator_checks import check_kernel, random_array
from tests.random_cases import cases

FUNCTIONS = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "power": np.power,
}

shapes = mutually_broadcastable_shapes(num_shapes=2, max_dims=5, max_side=4)


@given(
    st.sampled_from(sorted(FUNCTIONS)),
    shapes,
    st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 2)),
    st.tuples(st.sampled_from([None, -0.5]), st.sampled_from([None, 0.25])),
    st.integers(0, 2**32 - 1),
)
@cases(40)
def test_float_against_numpy(name, shapes, gaps, bounds, seed):
    rng = np.random.default_rng(seed)
    a, b = (random_array(rng, shape, "float32") for shape in shapes.input_shapes)
    if name == "power":
        a = np.abs(a) + np.float32(0.1)
    expected = FUNCTIONS[name](a, b)
    low, high = bounds
    if low is not None or high is not None:
        expected = np.clip(expected, low, high)
    check_kernel(
        name,
        [a, b],
        np.asarray(expected, "float32"),
        gaps=gaps[:2],
        out_gap=gaps[2],
        rtol=1e-6 if name == "power" else 0.0,
        minimum=low,
        maximum=high,
    )


@given(st.sampled_from(["maximum", "minimum"]), shapes, st.integers(0, 2**32 - 1))
@cases(15)
def test_int8_maximum_and_minimum(name, shapes, seed):
    rng = np.random.default_rng(seed)
    a, b = (random_array(rng, shape, "int8") for shape in shapes.input_shapes)
    check_kernel(name, [a, b], np.asarray(np.clip(FUNCTIONS[name](a, b), -100, 90), "int8"),
                 minimum=-100, maximum=90)  # fmt: skip


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_both_operands_may_be_overwritten(name):
    rng = np.random.default_rng(3)
    a, b = (np.abs(random_array(rng, (1, 3, 4, 5), "float32")) for _ in range(2))
    expected = FUNCTIONS[name](a, b)
    check_kernel(name, [a, b], expected, rtol=1e-6, in_place=(0, 1))
    # Slices of a wider tensor may be overwritten by a dense result, but not the other way round.
    check_kernel(name, [a, b], expected, rtol=1e-6, gaps=(3, 0), in_place=(0, 1))
    check_kernel(name, [a, b], expected, rtol=1e-6, gaps=(3, 0), out_gap=2, in_place=(0,))


def test_operand_that_is_broadcast_is_not_overwritten():
    rng = np.random.default_rng(4)
    a, b = random_array(rng, (2, 3, 4, 5), "float32"), random_array(rng, (2, 1, 1, 5), "float32")
    kernel = check_kernel("multiply", [a, b], a * b, in_place=(0,))
    needed = [kernel.operator.needed_rows(kernel.signature, 1, row) for row in range(6)]
    assert needed == [(0, 1)] * 3 + [(1, 2)] * 3


def test_rows_of_an_operand_of_lower_rank():
    rng = np.random.default_rng(5)
    a, b = random_array(rng, (1, 3, 4, 5), "float32"), random_array(rng, (3, 4, 5), "float32")
    kernel = check_kernel("add", [a, b], a + b)
    assert [kernel.operator.needed_rows(kernel.signature, 1, row) for row in range(3)] == [
        (0, 4),
        (4, 8),
        (8, 12),
    ]


def test_equal_operands_are_walked_by_one_loop():
    kernel = check_kernel("add", [np.ones((1, 2, 3, 4), "float32")] * 2,
                          np.full((1, 2, 3, 4), 2, "float32"))  # fmt: skip
    text = kernel.operator.row_kernel(kernel.signature).script()
    assert "T.grid(1, 1, 12)" in text
    assert kernel.operator.operator_class(kernel.signature) is OperatorClass.ELEMENTWISE
    assert kernel.operator.macs(kernel.signature) == 0


@pytest.mark.parametrize(
    ("name", "shapes", "dtypes", "message"),
    [
        ("add", [(2, 3), (2, 4)], ("float32", "float32"), "cannot be broadcast"),
        ("add", [(2, 3), (2, 3)], ("float32", "int8"), "one type"),
        ("add", [(2, 3), (2, 3)], ("int8", "int8"), "needs 3 multipliers"),
        ("multiply", [(2, 3), (2, 3)], ("int8", "int8"), "needs a multiplier"),
        ("divide", [(2, 3), (2, 3)], ("int8", "int8"), "float32"),
        ("power", [(2,)], ("float32",), "takes 2 operands"),
        ("maximum", [(1,) * 6, (2,)], ("float32", "float32"), "at most 5 axes"),
    ],
)
def test_refusals(name, shapes, dtypes, message):
    operator = operator_of(f"dero.{name}")
    specs = tuple(TensorSpec(shape, dtype) for shape, dtype in zip(shapes, dtypes))
    with pytest.raises(ValueError, match=message):
        operator.infer(specs, dict(operator.defaults))
