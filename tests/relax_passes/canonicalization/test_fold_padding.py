from __future__ import annotations

import numpy as np
import tvm
from relax_passes.canonicalization.fold_padding import FoldPadding
from tvm import relax
from tvm.script import ir as I
from tvm.script import relax as R

from relax_passes.operators import make_call

WEIGHT = np.random.default_rng(0).integers(-128, 128, (4, 3, 3, 3)).astype("int8")
NUMBERS = np.full(4, 1 << 30, "int32")


def pad(x, value, before=(0, 1, 0, 0), after=(0, 0, 2, 0)):
    return make_call("pad", [x], pad_before=before, pad_after=after, value=value)


def conv(x, padding, zero_point):
    weights = [relax.const(a) for a in (WEIGHT, NUMBERS, NUMBERS, NUMBERS * 0)]
    return make_call("conv2d", [x, *weights], padding=padding, input_zero_point=zero_point)


def test_padding_by_zero_is_the_convolutions() -> None:
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((1, 8, 8, 3), "int8")) -> R.Tensor((1, 9, 10, 4), "int8"):
            with R.dataflow():
                a = pad(x, -7)
                gv = conv(a, (1, 1, 1, 1), -7)
                R.output(gv)
            return gv

    @I.ir_module
    class Expected:
        @R.function
        def main(x: R.Tensor((1, 8, 8, 3), "int8")) -> R.Tensor((1, 9, 10, 4), "int8"):
            with R.dataflow():
                gv = conv(x, (2, 1, 1, 3), -7)
                R.output(gv)
            return gv

    after = FoldPadding()(Before)
    tvm.ir.assert_structural_equal(after, Expected)
    tvm.ir.assert_structural_equal(FoldPadding()(after), after)


def test_other_padding_stays() -> None:
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((1, 8, 8, 3), "int8")) -> R.Tensor((1, 7, 8, 4), "int8"):
            with R.dataflow():
                a = pad(x, 0)
                gv = conv(a, (0, 0, 0, 0), -7)
                R.output(gv)
            return gv

    @I.ir_module
    class Channels:
        @R.function
        def main(x: R.Tensor((1, 8, 8, 2), "int8")) -> R.Tensor((1, 6, 6, 4), "int8"):
            with R.dataflow():
                a = pad(x, -7, (0, 0, 0, 0), (0, 0, 0, 1))
                gv = conv(a, (0, 0, 0, 0), -7)
                R.output(gv)
            return gv

    for module in (Before, Channels):
        tvm.ir.assert_structural_equal(FoldPadding()(module), module)
