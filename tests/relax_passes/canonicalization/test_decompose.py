from __future__ import annotations

import numpy as np
import pytest
from tvm import relax
from tvm.relax import op
from tvm.script import ir as I
from tvm.script import relax as R

from relax_passes.canonicalization.decompose import DecomposeComposites
from tests.relax_passes.network_parts import assert_rewritten, assert_same_results, network

rng = np.random.default_rng(0)
GAMMA, BETA, MEAN = rng.normal(size=(3, 4)).astype("float32")
VARIANCE = rng.uniform(0.5, 2.0, 4).astype("float32")
WEIGHT = rng.normal(size=(6, 4, 3)).astype("float32")


def const(array):
    return relax.const(np.asarray(array, "float32"))


def test_batch_norm_is_a_factor_and_a_summand() -> None:
    factor = GAMMA.astype("float64") / np.sqrt(VARIANCE.astype("float64") + 1e-5)
    summand = BETA - MEAN * factor

    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((1, 4, 5, 5), "float32")) -> R.Tensor((1, 4, 5, 5), "float32"):
            with R.dataflow():
                bn = R.nn.batch_norm(
                    x,
                    const(GAMMA),
                    const(BETA),
                    const(MEAN),
                    const(VARIANCE),
                    axis=1,
                    epsilon=1e-5,
                    training=False,
                )
                y = bn[0]
                dropped = R.nn.dropout(y, rate=0.5)
                gv = R.nn.relu(dropped[0])
                R.output(gv)
            return gv

    @I.ir_module
    class Expected:
        @R.function
        def main(x: R.Tensor((1, 4, 5, 5), "float32")) -> R.Tensor((1, 4, 5, 5), "float32"):
            with R.dataflow():
                product = R.multiply(x, const(factor.reshape(1, 4, 1, 1)))
                y = R.add(product, const(summand.reshape(1, 4, 1, 1)))
                gv = R.nn.relu(y)
                R.output(gv)
            return gv

    assert_rewritten(DecomposeComposites(), Before, Expected)


def sum_of_a_stack(emit, x):
    parts = emit(op.split(x, indices_or_sections=[3, 6], axis=1))
    a, b = emit(parts[0]), emit(parts[1])
    return op.sum(op.stack((a, b, a), axis=0), axis=[0], keepdims=False)


def slices_added_up(emit, x):
    a, b = (op.strided_slice(x, axes=[1], begin=[i], end=[i + 3]) for i in (0, 3))
    return op.add(op.add(a, b), a)


def of_six_axes(emit, x):
    """As a function over images leaves it that was mapped over batches."""
    groups = emit(op.reshape(x, (1, 1, 3, 5, 2, 4)))
    largest = emit(op.max(groups, axis=[4], keepdims=False))
    return op.sum(largest, axis=[-3, -2], keepdims=True)


def of_long_axes(emit, x):
    groups = emit(op.reshape(emit(op.reshape(x, (1, 1, 3, 5, 2, 4))), (1, 3, 5, 2, 4)))
    largest = emit(op.reshape(op.max(groups, axis=[3], keepdims=True), (1, 1, 3, 5, 4)))
    pixels = emit(op.reshape(largest, (1, 3, 5, 4)))
    return op.reshape(op.sum(pixels, axis=[1, 2], keepdims=True), (1, 1, 1, 1, 4))


def one_dimension(emit, x):
    c = op.nn.conv1d(x, const(WEIGHT), strides=2, padding=[1, 1])
    return op.nn.max_pool1d(c, pool_size=2, strides=1)


def a_width_of_one(emit, x):
    a, w = op.reshape(x, (1, 4, 9, 1)), op.reshape(const(WEIGHT), (6, 4, 3, 1))
    c = op.nn.conv2d(a, w, strides=[2, 1], padding=[1, 0, 1, 0])
    e = op.reshape(op.reshape(c, (1, 6, 5)), (1, 6, 5, 1))
    return op.reshape(op.nn.max_pool2d(e, pool_size=[2, 1], strides=[1, 1]), (1, 6, 4))


def adaptive_poolings(emit, x):
    a = op.nn.adaptive_avg_pool2d(x, output_size=[3, 2])
    return op.squeeze(op.nn.adaptive_avg_pool2d(a, output_size=[1, 1]), axis=[2, 3])


def a_pooling_and_a_mean(emit, x):
    a = op.nn.avg_pool2d(x, pool_size=[2, 3], strides=[2, 3])
    return op.reshape(op.mean(a, axis=[2, 3], keepdims=True), (1, 4))


def rounded_up(pool):
    return lambda emit, x: pool(x, pool_size=[3, 3], strides=[2, 2], ceil_mode=True)


def padded(pool):
    return lambda emit, x: pool(x, pool_size=[3, 3], strides=[2, 2], padding=[0, 0, 1, 0])


def by_own_statistics(emit, x):
    return emit(op.nn.batch_norm(x, *map(const, (GAMMA, BETA, MEAN, VARIANCE)), axis=1))[0]


def less_its_mean_by_its_deviation(emit, x):
    centered = emit(op.subtract(x, op.mean(x, [0, 2], keepdims=True)))
    variance = op.mean(op.multiply(centered, centered), [0, 2], keepdims=True)
    whitened = op.divide(centered, op.sqrt(op.add(variance, const(1e-5))))
    product = op.multiply(whitened, const(GAMMA.reshape(1, 4, 1)))
    return op.add(product, const(BETA.reshape(1, 4, 1)))


def computed_parameters(emit, x):
    tripled = emit(op.multiply(const(GAMMA), const(3.0)))
    computed = emit(op.sum(x, [0, 2]))
    return emit(
        op.nn.batch_norm(x, tripled, computed, computed, const(VARIANCE), axis=1, training=False)
    )[0]


def by_computed_parameters(emit, x):
    tripled = emit(op.multiply(const(GAMMA), const(3.0)))
    computed = emit(op.sum(x, [0, 2]))
    gamma, beta, mean, variance = (
        emit(op.reshape(vector, (1, 4, 1)))
        for vector in (tripled, computed, computed, const(VARIANCE))
    )
    centered = emit(op.subtract(x, mean))
    sure = emit(op.add(variance, const(1e-5)))
    whitened = emit(op.divide(centered, emit(op.sqrt(sure))))
    return op.add(emit(op.multiply(whitened, gamma)), beta)


def bounds(emit, x):
    return op.nn.relu6(op.minimum(const([[2.0]]), op.maximum(x, const(-1.0))))


def clips(emit, x):
    a = op.clip(x, -1.0, float("inf"))
    return op.clip(op.clip(a, float("-inf"), 2.0), 0, 6)


@pytest.mark.parametrize(
    ("shape", "composite", "decomposed"),
    [
        ((1, 7, 2), sum_of_a_stack, slices_added_up),
        ((1, 3, 5, 8), of_six_axes, of_long_axes),
        ((1, 4, 9), one_dimension, a_width_of_one),
        ((1, 4, 6, 6), adaptive_poolings, a_pooling_and_a_mean),
        ((1, 4, 6, 7), rounded_up(op.nn.max_pool2d), padded(op.nn.max_pool2d)),
        ((1, 4, 6, 7), rounded_up(op.nn.avg_pool2d), padded(op.nn.avg_pool2d)),
        ((1, 4, 9), by_own_statistics, less_its_mean_by_its_deviation),
        ((1, 4, 9), computed_parameters, by_computed_parameters),
        ((1, 4), bounds, clips),
    ],
)
def test_composites(shape, composite, decomposed) -> None:
    before, expected = network(composite, shape), network(decomposed, shape)
    assert_rewritten(DecomposeComposites(), before, expected)


@pytest.mark.parametrize(
    ("slopes", "operator"),
    [
        (np.reshape([0.1, -0.2, 0.3, 2.0], (4, 1, 1)), "relax.nn.prelu"),
        (np.reshape([0.1, -0.2, 0.3], (1, 1, 1, 3)), "relax.nn.prelu"),
        (np.float32(0.3), "relax.nn.leakyrelu"),
        (np.full((4, 5, 3), 0.3), None),
    ],
)
@pytest.mark.parametrize("compare", [op.greater, op.greater_equal])
@pytest.mark.parametrize("first", [True, False])
def test_slopes_chosen_by_sign(slopes, operator, compare, first) -> None:
    def build(emit, x):
        factors = (const(slopes), x) if first else (x, const(slopes))
        scaled = emit(op.multiply(*factors))
        return op.where(emit(compare(x, const(0.0))), x, scaled)

    before = network(build, (1, 4, 5, 3))
    after = DecomposeComposites()(before)
    assert_same_results(before, after)
    assert ("R.where" not in str(after)) == (operator is not None)
    if operator is not None:
        assert operator.replace("relax.", "R.") in str(after)


def test_other_choices_stay() -> None:
    def build(emit, x):
        scaled = emit(op.multiply(const(0.3), x))
        return op.where(emit(op.greater(x, const(1.0))), x, scaled)

    before = network(build, (1, 4, 5, 3))
    assert "R.where" in str(DecomposeComposites()(before))
