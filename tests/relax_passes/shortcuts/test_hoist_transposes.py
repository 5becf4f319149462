"""HoistTransposes: before and after."""

from __future__ import annotations

import numpy as np
import pytest
from tvm import relax
from tvm.script import ir as I
from tvm.script import relax as R

from relax_passes.operators import make_call
from relax_passes.shortcuts.hoist_transposes import HoistTransposes
from tests.relax_passes.network_parts import (
    assert_left_alone,
    assert_rewritten,
    assert_same_results,
    network,
)

SHAPE = (1, 3, 4, 5)
FACTORS = np.array([2.0, 3.0, 5.0], "float32")
LINES = np.array([2.0, 3.0, 5.0, 7.0], "float32")
NUMBERS = np.arange(60).astype("int8").reshape(SHAPE)
TABLE = np.arange(256)[::-1].astype("uint8").view("int8")


def nhwc(x):
    return make_call("transpose", [x], axes=(0, 2, 3, 1))


def scaled(x, shape, factors=FACTORS):
    return make_call("multiply", [x, relax.const(factors.reshape(shape))])


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

    assert_rewritten(HoistTransposes(), Before, Expected)
    assert_same_results(Before, Expected)


def constant_from_a_table(emit, x):
    """The table stays as it is; what it looks up moves."""
    a = emit(make_call("lookup", [relax.const(NUMBERS), relax.const(TABLE)]))
    return nhwc(emit(make_call("concat", [x, a], axis=1)))


def moved_constant(emit, x):
    d = emit(nhwc(x))
    numbers = NUMBERS.transpose(0, 2, 3, 1).copy()
    a = emit(make_call("lookup", [relax.const(numbers), relax.const(TABLE)]))
    return make_call("concat", [d, a], axis=3)


def reshapes(emit, x):
    b = emit(make_call("reshape", [emit(scaled(x, (1, 3, 1, 1)))], shape=(3, 20)))
    c = emit(make_call("transpose", [b], axes=(1, 0)))
    return make_call("reshape", [c], shape=(1, 4, 5, 3))


def a_transpose(emit, x):
    return scaled(emit(nhwc(x)), (1, 1, 1, 3))


def quantized(x):
    return make_call("quantize", [x], scale=0.5, zero_point=1, rounding="half_even")


def dequantized(x):
    return make_call("dequantize", [x], scale=0.5, zero_point=1)


def through_int8(emit, x):
    r = emit(dequantized(emit(quantized(x))))
    return nhwc(emit(scaled(r, (1, 3, 1, 1))))


def of_a_quarter_of_the_bytes(emit, x):
    r = emit(dequantized(emit(nhwc(emit(quantized(x))))))
    return scaled(r, (1, 1, 1, 3))


def of_one_channel(emit, x):
    """To turn it is a reshape, which costs nothing."""
    return make_call("reshape", [emit(scaled(x, (1, 1, 4, 1), LINES))], shape=(1, 4, 5, 1))


def turned_first(emit, x):
    a = emit(make_call("reshape", [x], shape=(1, 4, 5, 1)))
    return scaled(a, (1, 4, 1, 1), LINES)


@pytest.mark.parametrize(
    ("channels", "dtype", "before", "expected"),
    [
        (3, "int8", constant_from_a_table, moved_constant),
        (3, "float32", reshapes, a_transpose),
        (3, "float32", through_int8, of_a_quarter_of_the_bytes),
        (1, "float32", of_one_channel, turned_first),
    ],
)
def test_hoists(channels, dtype, before, expected) -> None:
    shape = (1, channels, 4, 5)
    before, expected = (network(build, shape, dtype=dtype) for build in (before, expected))
    assert_rewritten(HoistTransposes(), before, expected)
    assert_same_results(before, expected)


def test_reshapes_of_other_images_stay() -> None:
    """Of a single line of 20 pixels four lines of five are made."""
    assert_left_alone(HoistTransposes(), network(reshapes, (1, 3, 20, 1)))


def test_what_is_read_in_the_old_order_too_stays() -> None:
    def build(emit, x):
        a = emit(make_call("unary", [x], function="relu"))
        return make_call("add", [a, emit(nhwc(a))])

    assert_left_alone(HoistTransposes(), network(build, (1, 3, 3, 3)))
