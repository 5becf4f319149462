from __future__ import annotations

import numpy as np
import pytest
import tvm
from tvm import relax
from tvm.script import ir as I
from tvm.script import relax as R

from relax_passes.canonicalization.decompose import DecomposeComposites

rng = np.random.default_rng(0)
GAMMA, BETA, MEAN = rng.normal(size=(3, 4)).astype("float32")
VARIANCE = rng.uniform(0.5, 2.0, 4).astype("float32")


def const(array):
    return relax.const(np.asarray(array, "float32"))


def check(before, expected) -> None:
    after = DecomposeComposites()(before)
    tvm.ir.assert_structural_equal(after, expected)
    tvm.ir.assert_structural_equal(DecomposeComposites()(after), after)


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

    check(Before, Expected)


def test_split_and_sum_of_a_stack() -> None:
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((1, 7, 2), "float32")) -> R.Tensor((1, 3, 2), "float32"):
            with R.dataflow():
                parts = R.split(x, indices_or_sections=[3, 6], axis=1)
                a = parts[0]
                b = parts[1]
                stacked = R.stack((a, b, a), axis=0)
                gv = R.sum(stacked, axis=[0], keepdims=False)
                R.output(gv)
            return gv

    @I.ir_module
    class Expected:
        @R.function
        def main(x: R.Tensor((1, 7, 2), "float32")) -> R.Tensor((1, 3, 2), "float32"):
            with R.dataflow():
                a = R.strided_slice(x, axes=[1], begin=[0], end=[3])
                b = R.strided_slice(x, axes=[1], begin=[3], end=[6])
                two = R.add(a, b)
                gv = R.add(two, a)
                R.output(gv)
            return gv

    check(Before, Expected)


def test_one_dimensional_convolution_has_a_width_of_one() -> None:
    weight = rng.normal(size=(6, 4, 3)).astype("float32")

    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((1, 4, 9), "float32")) -> R.Tensor((1, 6, 4), "float32"):
            with R.dataflow():
                c = R.nn.conv1d(x, const(weight), strides=2, padding=[1, 1])
                gv = R.nn.max_pool1d(c, pool_size=2, strides=1)
                R.output(gv)
            return gv

    @I.ir_module
    class Expected:
        @R.function
        def main(x: R.Tensor((1, 4, 9), "float32")) -> R.Tensor((1, 6, 4), "float32"):
            with R.dataflow():
                a = R.reshape(x, (1, 4, 9, 1))
                w = R.reshape(const(weight), (6, 4, 3, 1))
                c = R.nn.conv2d(a, w, strides=[2, 1], padding=[1, 0, 1, 0])
                d = R.reshape(c, (1, 6, 5))
                e = R.reshape(d, (1, 6, 5, 1))
                p = R.nn.max_pool2d(e, pool_size=[2, 1], strides=[1, 1])
                gv = R.reshape(p, (1, 6, 4))
                R.output(gv)
            return gv

    check(Before, Expected)


def test_adaptive_pooling_to_one_pixel_is_a_mean() -> None:
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((1, 4, 6, 6), "float32")) -> R.Tensor((1, 4), "float32"):
            with R.dataflow():
                a = R.nn.adaptive_avg_pool2d(x, output_size=[3, 2])
                b = R.nn.adaptive_avg_pool2d(a, output_size=[1, 1])
                gv = R.squeeze(b, axis=[2, 3])
                R.output(gv)
            return gv

    @I.ir_module
    class Expected:
        @R.function
        def main(x: R.Tensor((1, 4, 6, 6), "float32")) -> R.Tensor((1, 4), "float32"):
            with R.dataflow():
                a = R.nn.avg_pool2d(x, pool_size=[2, 3], strides=[2, 3])
                b = R.mean(a, axis=[2, 3], keepdims=True)
                gv = R.reshape(b, (1, 4))
                R.output(gv)
            return gv

    check(Before, Expected)


@pytest.mark.parametrize("pool", [relax.op.nn.max_pool2d, relax.op.nn.avg_pool2d])
def test_sizes_rounded_up_are_padding(pool) -> None:
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((1, 4, 6, 7), "float32")) -> R.Tensor((1, 4, 3, 3), "float32"):
            with R.dataflow():
                gv = pool(x, pool_size=[3, 3], strides=[2, 2], ceil_mode=True)
                R.output(gv)
            return gv

    @I.ir_module
    class Expected:
        @R.function
        def main(x: R.Tensor((1, 4, 6, 7), "float32")) -> R.Tensor((1, 4, 3, 3), "float32"):
            with R.dataflow():
                gv = pool(x, pool_size=[3, 3], strides=[2, 2], padding=[0, 0, 1, 0])
                R.output(gv)
            return gv

    check(Before, Expected)


def test_bounds_are_clips() -> None:
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((1, 4), "float32")) -> R.Tensor((1, 4), "float32"):
            with R.dataflow():
                a = R.maximum(x, const(-1.0))
                b = R.minimum(const([[2.0]]), a)
                gv = R.nn.relu6(b)
                R.output(gv)
            return gv

    @I.ir_module
    class Expected:
        @R.function
        def main(x: R.Tensor((1, 4), "float32")) -> R.Tensor((1, 4), "float32"):
            with R.dataflow():
                a = R.clip(x, -1.0, float("inf"))
                b = R.clip(a, float("-inf"), 2.0)
                gv = R.clip(b, 0, 6)
                R.output(gv)
            return gv

    check(Before, Expected)
