"""FoldPadding: before and after."""

from __future__ import annotations

import numpy as np
import tvm
from tvm import relax
from tvm.script import ir as I
from tvm.script import relax as R

from relax_passes.operators import make_call
from relax_passes.residuals.fold_padding import FoldPadding

FRAME = {"pad_before": (0, 1, 2, 0), "pad_after": (0, 3, 4, 0)}


def pad(data, value=0.0, **frame):
    return make_call("pad", [data], value=value, **{**FRAME, **frame})


def conv(data, *padding):
    weight = relax.const(np.linspace(-1, 1, 72, dtype="float32").reshape(4, 3, 3, 2))
    return make_call("conv2d", [data, weight, relax.const(np.zeros(4, "float32"))], padding=padding)


def test_padding_becomes_the_convolutions_own() -> None:
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((1, 6, 5, 2), "float32")):
            with R.dataflow():
                p = pad(x)
                y = conv(p, 1, 0, 0, 1)
                R.output(y)
            return y

    @I.ir_module
    class Expected:
        @R.function
        def main(x: R.Tensor((1, 6, 5, 2), "float32")):
            with R.dataflow():
                y = conv(x, 2, 2, 3, 5)
                R.output(y)
            return y

    after = FoldPadding()(Before)
    tvm.ir.assert_structural_equal(after, Expected)
    tvm.ir.assert_structural_equal(FoldPadding()(after), after)
    data = np.random.default_rng(0).standard_normal((1, 6, 5, 2)).astype("float32")
    results = [
        relax.VirtualMachine(tvm.compile(module, "llvm"), tvm.cpu())["main"](
            tvm.runtime.tensor(data)
        ).numpy()
        for module in (Before, after)
    ]
    np.testing.assert_array_equal(*results)


def test_padding_with_another_value_stays() -> None:
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((1, 6, 5, 2), "float32")):
            with R.dataflow():
                p = pad(x, value=1.0)
                y = conv(p, 0, 0, 0, 0)
                R.output(y)
            return y

    tvm.ir.assert_structural_equal(FoldPadding()(Before), Before)


def test_padding_of_channels_stays() -> None:
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((1, 6, 5, 1), "float32")):
            with R.dataflow():
                p = pad(x, pad_before=(0, 0, 0, 1), pad_after=(0, 0, 0, 0))
                y = conv(p, 0, 0, 0, 0)
                R.output(y)
            return y

    tvm.ir.assert_structural_equal(FoldPadding()(Before), Before)


def test_padding_with_two_readers_stays() -> None:
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((1, 6, 5, 2), "float32")):
            with R.dataflow():
                p = pad(x)
                y = conv(p, 0, 0, 0, 0)
                z = conv(p, 1, 1, 1, 1)
                R.output(y, z)
            return (y, z)

    tvm.ir.assert_structural_equal(FoldPadding()(Before), Before)
