"""HoistTransposes: before and after."""

from __future__ import annotations

import numpy as np
import tvm
from tvm import relax
from tvm.script import ir as I
from tvm.script import relax as R

from relax_passes.operators import make_call
from relax_passes.shortcuts.hoist_transposes import HoistTransposes
from tests.relax_passes.network_parts import assert_same_results

FACTORS = np.array([2.0, 3.0, 5.0], "float32")


def nhwc(x):
    return make_call("transpose", [x], axes=(0, 2, 3, 1))


def scaled(x, shape):
    return make_call("multiply", [x, relax.const(FACTORS.reshape(shape))])


def padded(x, axis):
    after = tuple(2 * (index == axis) for index in range(4))
    return make_call("pad", [x], pad_before=(0,) * 4, pad_after=after, value=0.0)


def test_elementwise_operators_and_paddings() -> None:
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((1, 3, 4, 5), "float32")):
            with R.dataflow():
                a = scaled(x, (1, 3, 1, 1))
                b = padded(a, 1)
                c = nhwc(b)
                d = nhwc(x)
                R.output(c, d)
            return (c, d)

    @I.ir_module
    class Expected:
        @R.function
        def main(x: R.Tensor((1, 3, 4, 5), "float32")):
            with R.dataflow():
                d = nhwc(x)
                a = scaled(d, (1, 1, 1, 3))
                c = padded(a, 3)
                R.output(c, d)
            return (c, d)

    after = HoistTransposes()(Before)
    tvm.ir.assert_structural_equal(after, Expected)
    tvm.ir.assert_structural_equal(HoistTransposes()(after), after)
    assert_same_results(Before, after)


def test_a_constant_that_goes_through_a_table() -> None:
    """The table stays as it is; what it looks up moves."""
    numbers = np.arange(60).astype("int8").reshape(1, 3, 4, 5)
    table = relax.const(np.arange(256)[::-1].astype("uint8").view("int8"))

    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((1, 3, 4, 5), "int8")):
            with R.dataflow():
                a = make_call("lookup", [relax.const(numbers), table])
                b = make_call("concat", [x, a], axis=1)
                c = nhwc(b)
                R.output(c)
            return c

    @I.ir_module
    class Expected:
        @R.function
        def main(x: R.Tensor((1, 3, 4, 5), "int8")):
            with R.dataflow():
                d = nhwc(x)
                a = make_call("lookup", [relax.const(numbers.transpose(0, 2, 3, 1).copy()), table])
                c = make_call("concat", [d, a], axis=3)
                R.output(c)
            return c

    after = HoistTransposes()(Before)
    tvm.ir.assert_structural_equal(after, Expected)


def test_a_transposition_spelled_as_reshapes() -> None:
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((1, 3, 4, 5), "float32")):
            with R.dataflow():
                a = scaled(x, (1, 3, 1, 1))
                b = make_call("reshape", [a], shape=(3, 20))
                c = make_call("transpose", [b], axes=(1, 0))
                d = make_call("reshape", [c], shape=(1, 4, 5, 3))
                R.output(d)
            return d

    @I.ir_module
    class Expected:
        @R.function
        def main(x: R.Tensor((1, 3, 4, 5), "float32")):
            with R.dataflow():
                a = nhwc(x)
                d = scaled(a, (1, 1, 1, 3))
                R.output(d)
            return d

    after = HoistTransposes()(Before)
    tvm.ir.assert_structural_equal(after, Expected)
    assert_same_results(Before, after)


def test_what_is_read_in_the_old_order_too_stays() -> None:
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((1, 3, 4, 5), "float32")):
            with R.dataflow():
                a = scaled(x, (1, 3, 1, 1))
                b = nhwc(a)
                R.output(a, b)
            return (a, b)

    after = HoistTransposes()(Before)
    tvm.ir.assert_structural_equal(after, Before)


def test_the_quantized_input_is_transposed() -> None:
    """It has a quarter of the bytes."""

    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((1, 3, 4, 5), "float32")):
            with R.dataflow():
                q = make_call("quantize", [x], scale=0.5, zero_point=1, rounding="half_even")
                r = make_call("dequantize", [q], scale=0.5, zero_point=1)
                a = scaled(r, (1, 3, 1, 1))
                b = nhwc(a)
                R.output(b)
            return b

    (first, second, *_) = HoistTransposes()(Before)["main"].body.blocks[0].bindings
    assert (first.value.op.name, second.value.op.name) == ("dero.quantize", "dero.transpose")
    assert str(second.value.ty.dtype) == "int8"
