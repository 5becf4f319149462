from __future__ import annotations

import numpy as np
import pytest
from tvm import relax
from tvm.ir import assert_structural_equal
from tvm.relax import op
from tvm.script import ir as I
from tvm.script import relax as R

from relax_passes.canonicalization.fold_batch_norm import FoldAffine
from relax_passes.ir.decisions import decisions
from tests.relax_passes.network_parts import assert_rewritten, network, without_findings

rng = np.random.default_rng(0)
WEIGHT = rng.normal(size=(4, 3, 3, 3)).astype("float32")
SCALE, OFFSET = rng.uniform(0.5, 2.0, (2, 1, 4, 1, 1))
SCALE, OFFSET = SCALE.astype("float32"), OFFSET.astype("float32")
MATRIX = rng.normal(size=(5, 4)).astype("float32")


def const(array):
    return relax.const(np.asarray(array, "float32"))


def test_factors_go_into_the_weights() -> None:
    wide = SCALE.astype("float64").reshape(-1)
    scaled = WEIGHT * (wide * 2.0).reshape(4, 1, 1, 1)
    bias = (OFFSET.astype("float64") * wide.reshape(OFFSET.shape) - 1.0) * 2.0

    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((1, 3, 8, 8), "float32")) -> R.Tensor((1, 4, 6, 6), "float32"):
            with R.dataflow():
                a = R.nn.conv2d(x, const(WEIGHT))
                b = R.add(a, const(OFFSET))
                c = R.multiply(const(SCALE), b)
                d = R.subtract(c, const(1.0))
                e = R.divide(d, const(0.5))
                gv = R.nn.relu(e)
                R.output(gv)
            return gv

    @I.ir_module
    class Expected:
        @R.function
        def main(x: R.Tensor((1, 3, 8, 8), "float32")) -> R.Tensor((1, 4, 6, 6), "float32"):
            with R.dataflow():
                a = R.nn.conv2d(x, const(scaled))
                b = R.add(a, const(bias))
                gv = R.nn.relu(b)
                R.output(gv)
            return gv

    assert_rewritten(FoldAffine(), Before, Expected)


def test_single_numbers_before_a_vector() -> None:
    """They have its axis; without one they stay a single number."""

    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((1, 4, 6, 6), "float32")):
            with R.dataflow():
                a = R.multiply(x, const(3.0))
                b = R.multiply(a, const(2.0))
                c = R.multiply(b, const(SCALE))
                d = R.nn.relu(c)
                e = R.add(d, const(1.0))
                f = R.add(e, const(2.0))
                R.output(f)
            return f

    @I.ir_module
    class Expected:
        @R.function
        def main(x: R.Tensor((1, 4, 6, 6), "float32")):
            with R.dataflow():
                c = R.multiply(x, const(SCALE.astype("float64") * 6.0))
                d = R.nn.relu(c)
                f = R.add(d, const(np.full((1, 1, 1, 1), 3.0)))
                R.output(f)
            return f

    assert_rewritten(FoldAffine(), Before, Expected)


def conv(x, factor=1.0):
    return op.nn.conv2d(x, const(WEIGHT * factor))


def behind_another_convolution(emit, x):
    a, b = emit(conv(x)), emit(conv(x))
    c = emit(op.nn.relu(b))
    return op.add(c, op.multiply(a, const(SCALE)))


def in_its_own_place(emit, x):
    a, b = emit(conv(x, SCALE.reshape(4, 1, 1, 1))), emit(conv(x))
    return op.add(op.nn.relu(b), a)


def chain(emit, x):
    a = op.add(op.multiply(x, const(SCALE)), const(OFFSET))
    return op.nn.relu(op.add(op.multiply(a, const(SCALE)), const(OFFSET)))


def merged(emit, x):
    factor = SCALE.astype("float64") ** 2
    summand = OFFSET.astype("float64") * SCALE + OFFSET
    return op.nn.relu(op.add(op.multiply(x, const(factor)), const(summand)))


def dense(emit, x):
    a = op.multiply(op.matmul(x, const(MATRIX)), const(SCALE.reshape(4)))
    return op.add(a, const(OFFSET.reshape(4)))


def folded_dense(emit, x):
    scaled = op.matmul(x, const(MATRIX * SCALE.reshape(4)))
    return op.add(scaled, const(OFFSET.reshape(1, 4)))


@pytest.mark.parametrize(
    ("shape", "before", "expected"),
    [
        ((1, 3, 8, 8), behind_another_convolution, in_its_own_place),
        ((1, 4, 6, 6), chain, merged),
        ((2, 5), dense, folded_dense),
    ],
)
def test_where_factors_go(shape, before, expected) -> None:
    assert_rewritten(FoldAffine(), network(before, shape), network(expected, shape))


def with_another_reader(emit, x):
    a = emit(conv(x))
    return op.add(a, op.multiply(a, const(SCALE)))


def computed_weights(emit, x):
    return op.multiply(op.nn.conv2d(x, emit(op.nn.relu(const(WEIGHT)))), const(SCALE))


def quantized_weights(emit, x):
    weight = relax.const(rng.integers(-127, 128, WEIGHT.shape).astype("int8"))
    real = emit(op.dequantize(weight, const(0.1), relax.const(np.int8(0)), axis=0))
    return op.multiply(op.nn.conv2d(x, real), const(SCALE))


def one_factor_a_column(emit, x):
    return op.multiply(conv(x), const(np.arange(1, 7)))


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (with_another_reader, "the result of the conv2d before it is read elsewhere too"),
        (computed_weights, "the weights of the conv2d before it are computed"),
        (quantized_weights, "the weights of the conv2d before it are quantized"),
        (one_factor_a_column, "it is not one number for each channel of the conv2d before it"),
    ],
)
def test_what_stays_says_why(build, reason) -> None:
    before = network(build, (1, 3, 8, 8))
    after = FoldAffine()(before)
    assert_structural_equal(without_findings(after), before)
    assert [d.reason for d in decisions(after)] == [reason]
