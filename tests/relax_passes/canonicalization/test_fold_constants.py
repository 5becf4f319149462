from __future__ import annotations

import numpy as np
import pytest
from tvm import relax
from tvm.relax import op

from relax_passes.canonicalization.fold_constants import FoldConstants
from tests.relax_passes.network_parts import assert_left_alone, assert_rewritten, network

rng = np.random.default_rng(0)
MATRIX = rng.normal(size=(3, 4)).astype("float32")
INTEGERS = rng.integers(-128, 128, (3, 4)).astype("int8")
SCALES = rng.uniform(0.1, 1.0, 4).astype("float32")


def const(array, dtype=None):
    return relax.const(np.asarray(array, dtype))


def float_constant(value):
    return const(value, "float32")


def dequantized(integers, axis):
    return op.dequantize(const(integers), const(SCALES), const(3, "int32"), axis=axis)


def folded_operand(build, *shape):
    """The constant that is the second operand of the one operator left."""
    (binding,) = FoldConstants()(network(build, shape))["main"].body.blocks[0].bindings
    return binding.value.args[1].value.numpy()


def test_arithmetic_on_constants() -> None:
    def build(emit, x):
        scaled = op.multiply(op.permute_dims(const(MATRIX)), float_constant(2.0))
        return op.add(x, op.exp(scaled))

    np.testing.assert_allclose(folded_operand(build, 4, 3), np.exp(MATRIX.T * 2.0), rtol=1e-6)


def test_choices_among_constants() -> None:
    """NaN is less than nothing."""
    data = MATRIX.copy()
    data[0, 1] = np.nan

    def build(emit, x):
        negative = op.less(const(data), float_constant(0.0))
        raised = op.ceil(op.squeeze(const(MATRIX[None]), 0))
        return op.add(x, op.where(negative, op.floor(const(data)), raised))

    expected = np.where(data < 0, np.floor(data), np.ceil(MATRIX))
    np.testing.assert_array_equal(folded_operand(build, 3, 4), expected)


def test_scales_along_two_axes_make_floats() -> None:
    """No `dequantize` can say them."""

    def build(emit, x):
        moved = op.permute_dims(dequantized(INTEGERS, 1))
        return op.multiply(x, op.reshape(moved, (2, 2, 3)))

    expected = ((INTEGERS.astype("float32") - 3) * SCALES).T.reshape(2, 2, 3)
    np.testing.assert_array_equal(folded_operand(build, 2, 2, 3), expected)


def moved_behind(emit, x):
    return op.multiply(x, op.permute_dims(dequantized(INTEGERS, 1)))


def moved_before(emit, x):
    return op.multiply(x, dequantized(INTEGERS.T.copy(), 0))


def relu_of(identity):
    return lambda emit, x: op.nn.relu(identity(x))


IDENTITIES = (
    lambda x: op.reshape(x, (4, 3)),
    lambda x: op.permute_dims(x, axes=[0, 1]),
    lambda x: op.astype(x, "float32"),
    lambda x: op.add(x, float_constant(0.0)),
    lambda x: op.divide(x, float_constant(np.ones((1, 3)))),
    lambda x: op.broadcast_to(x, (4, 3)),
    lambda x: op.concat((x,), axis=0),
    lambda x: op.nn.pad(x, (0, 0, 0, 0)),
    lambda x: op.strided_slice(x, axes=[1], begin=[0], end=[3]),
)


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        pytest.param(moved_behind, moved_before, id="a quantized constant stays quantized"),
        *((relu_of(identity), relu_of(lambda x: x)) for identity in IDENTITIES),
    ],
)
def test_folds(before, expected) -> None:
    assert_rewritten(FoldConstants(), network(before, (4, 3)), network(expected, (4, 3)))


@pytest.mark.parametrize(
    "almost",
    [
        lambda x: op.permute_dims(x, axes=[1, 0]),
        lambda x: op.subtract(float_constant(0.0), x),
        lambda x: op.strided_slice(x, axes=[1], begin=[2], end=[-4], strides=[-1]),
        lambda x: op.clip(x, 0, float("inf")),
    ],
)
def test_what_only_looks_like_an_identity_stays(almost) -> None:
    assert_left_alone(FoldConstants(), network(relu_of(almost), (3, 3)))
