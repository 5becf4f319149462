from __future__ import annotations

import numpy as np
import tvm
from tvm import relax
from tvm.script import ir as I
from tvm.script import relax as R

from relax_passes.canonicalization.fold_constants import FoldConstants

rng = np.random.default_rng(0)
MATRIX = rng.normal(size=(3, 4)).astype("float32")
INTEGERS = rng.integers(-128, 128, (3, 4)).astype("int8")
SCALES = rng.uniform(0.1, 1.0, 4).astype("float32")


def const(array, dtype=None):
    return relax.const(np.asarray(array, dtype))


def check(before, expected) -> None:
    after = FoldConstants()(before)
    tvm.ir.assert_structural_equal(after, expected)
    tvm.ir.assert_structural_equal(FoldConstants()(after), after)


def test_arithmetic_on_constants() -> None:
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((4, 3), "float32")) -> R.Tensor((4, 3), "float32"):
            with R.dataflow():
                a = R.permute_dims(const(MATRIX))
                b = R.multiply(a, const(2.0, "float32"))
                c = R.exp(b)
                gv = R.add(x, c)
                R.output(gv)
            return gv

    after = FoldConstants()(Before)
    (binding,) = after["main"].body.blocks[0].bindings
    np.testing.assert_allclose(
        binding.value.args[1].value.numpy(), np.exp(MATRIX.T * 2.0), rtol=1e-6
    )


def test_a_quantized_constant_stays_quantized() -> None:
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((2, 2, 3), "float32")) -> R.Tensor((2, 2, 3), "float32"):
            with R.dataflow():
                w = R.dequantize(const(INTEGERS), const(SCALES), const(3, "int32"), axis=1)
                t = R.permute_dims(w)
                s = R.reshape(t, (2, 2, 3))
                gv = R.multiply(x, s)
                R.output(gv)
            return gv

    @I.ir_module
    class Half:
        @R.function
        def main(x: R.Tensor((4, 3), "float32")) -> R.Tensor((4, 3), "float32"):
            with R.dataflow():
                w = R.dequantize(const(INTEGERS), const(SCALES), const(3, "int32"), axis=1)
                t = R.permute_dims(w)
                gv = R.multiply(x, t)
                R.output(gv)
            return gv

    @I.ir_module
    class Expected:
        @R.function
        def main(x: R.Tensor((4, 3), "float32")) -> R.Tensor((4, 3), "float32"):
            with R.dataflow():
                w = R.dequantize(const(INTEGERS.T.copy()), const(SCALES), const(3, "int32"), axis=0)
                gv = R.multiply(x, w)
                R.output(gv)
            return gv

    check(Half, Expected)
    # The scales now run along two axes, which no `dequantize` can say: floats are right then.
    (binding,) = FoldConstants()(Before)["main"].body.blocks[0].bindings
    expected = ((INTEGERS.astype("float32") - 3) * SCALES).T.reshape(2, 2, 3)
    np.testing.assert_array_equal(binding.value.args[1].value.numpy(), expected)


def test_identities_go() -> None:
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((2, 3), "float32")) -> R.Tensor((2, 3), "float32"):
            with R.dataflow():
                a = R.reshape(x, (2, 3))
                b = R.permute_dims(a, axes=[0, 1])
                c = R.astype(b, "float32")
                d = R.add(c, const(0.0, "float32"))
                e = R.divide(d, const(np.ones((1, 3)), "float32"))
                f = R.broadcast_to(e, (2, 3))
                g = R.concat((f,), axis=0)
                h = R.nn.pad(g, (0, 0, 0, 0))
                i = R.strided_slice(h, axes=[1], begin=[0], end=[3])
                gv = R.nn.relu(i)
                R.output(gv)
            return gv

    @I.ir_module
    class Expected:
        @R.function
        def main(x: R.Tensor((2, 3), "float32")) -> R.Tensor((2, 3), "float32"):
            with R.dataflow():
                gv = R.nn.relu(x)
                R.output(gv)
            return gv

    check(Before, Expected)


def test_what_only_looks_like_an_identity_stays() -> None:
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((3, 3), "float32")) -> R.Tensor((3, 3), "float32"):
            with R.dataflow():
                a = R.permute_dims(x, axes=[1, 0])
                b = R.subtract(const(0.0, "float32"), a)
                c = R.strided_slice(b, axes=[1], begin=[2], end=[-4], strides=[-1])
                gv = R.clip(c, 0, float("inf"))
                R.output(gv)
            return gv

    tvm.ir.assert_structural_equal(FoldConstants()(Before), Before)
