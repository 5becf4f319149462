from __future__ import annotations

import numpy as np
import tvm
from tvm import relax
from tvm.script import ir as I
from tvm.script import relax as R

from relax_passes.canonicalization.fold_batch_norm import FoldAffine

rng = np.random.default_rng(0)
WEIGHT = rng.normal(size=(4, 3, 3, 3)).astype("float32")
SCALE, OFFSET = rng.uniform(0.5, 2.0, (2, 1, 4, 1, 1))
SCALE, OFFSET = SCALE.astype("float32"), OFFSET.astype("float32")


def const(array):
    return relax.const(np.asarray(array, "float32"))


def check(before, expected) -> None:
    after = FoldAffine()(before)
    tvm.ir.assert_structural_equal(after, expected)
    tvm.ir.assert_structural_equal(FoldAffine()(after), after)


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

    check(Before, Expected)


def test_the_folded_convolution_keeps_its_place() -> None:
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((1, 3, 8, 8), "float32")) -> R.Tensor((1, 4, 6, 6), "float32"):
            with R.dataflow():
                a = R.nn.conv2d(x, const(WEIGHT))
                b = R.nn.conv2d(x, const(WEIGHT))
                c = R.nn.relu(b)
                d = R.multiply(a, const(SCALE))
                gv = R.add(c, d)
                R.output(gv)
            return gv

    @I.ir_module
    class Expected:
        @R.function
        def main(x: R.Tensor((1, 3, 8, 8), "float32")) -> R.Tensor((1, 4, 6, 6), "float32"):
            with R.dataflow():
                a = R.nn.conv2d(x, const(WEIGHT * SCALE.reshape(4, 1, 1, 1)))
                b = R.nn.conv2d(x, const(WEIGHT))
                c = R.nn.relu(b)
                gv = R.add(c, a)
                R.output(gv)
            return gv

    check(Before, Expected)


def test_a_result_with_another_reader_is_left_alone() -> None:
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((1, 3, 8, 8), "float32")) -> R.Tensor((1, 4, 6, 6), "float32"):
            with R.dataflow():
                a = R.nn.conv2d(x, const(WEIGHT))
                b = R.multiply(a, const(SCALE))
                gv = R.add(a, b)
                R.output(gv)
            return gv

    tvm.ir.assert_structural_equal(FoldAffine()(Before), Before)


def test_chains_without_a_convolution_merge() -> None:
    factor = SCALE.astype("float64") ** 2
    summand = OFFSET.astype("float64") * SCALE + OFFSET

    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((1, 4, 6, 6), "float32")) -> R.Tensor((1, 4, 6, 6), "float32"):
            with R.dataflow():
                a = R.multiply(x, const(SCALE))
                b = R.add(a, const(OFFSET))
                c = R.multiply(b, const(SCALE))
                d = R.add(c, const(OFFSET))
                gv = R.nn.relu(d)
                R.output(gv)
            return gv

    @I.ir_module
    class Expected:
        @R.function
        def main(x: R.Tensor((1, 4, 6, 6), "float32")) -> R.Tensor((1, 4, 6, 6), "float32"):
            with R.dataflow():
                a = R.multiply(x, const(factor))
                b = R.add(a, const(summand))
                gv = R.nn.relu(b)
                R.output(gv)
            return gv

    check(Before, Expected)


def test_dense_layers_too() -> None:
    weight = rng.normal(size=(5, 4)).astype("float32")
    scale, offset = SCALE.reshape(4), OFFSET.reshape(4)

    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((2, 5), "float32")) -> R.Tensor((2, 4), "float32"):
            with R.dataflow():
                a = R.matmul(x, const(weight))
                b = R.multiply(a, const(scale))
                gv = R.add(b, const(offset))
                R.output(gv)
            return gv

    @I.ir_module
    class Expected:
        @R.function
        def main(x: R.Tensor((2, 5), "float32")) -> R.Tensor((2, 4), "float32"):
            with R.dataflow():
                a = R.matmul(x, const(weight * scale))
                gv = R.add(a, const(offset.reshape(1, 4)))
                R.output(gv)
            return gv

    check(Before, Expected)
