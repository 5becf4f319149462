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


def along_time(emit, x):
    """What is [1, 3, 20] to a network along one axis has two channels more for its shortcut."""
    c, d = (emit(make_call("reshape", [x], shape=(1, 3, 20))) for _ in range(2))
    c = emit(scaled(c, (3, 1)))
    a = emit(make_call("reshape", [emit(turned(emit, c, 3))], shape=(1, 20, 1, 3)))
    wide = make_call("pad", [d], pad_before=(0, 0, 0), pad_after=(0, 2, 0), value=1.0)
    b = emit(make_call("reshape", [emit(wide)], shape=(1, 1, 5, 20)))
    b = emit(make_call("reshape", [emit(turned(emit, b, 5))], shape=(1, 20, 1, 5)))
    return make_call("concat", [a, b], axis=3)


def turned(emit, x, channels):
    flat = emit(make_call("reshape", [x], shape=(channels, 20)))
    return make_call("transpose", [flat], axes=(1, 0))


def along_time_turned_once(emit, x):
    a = emit(make_call("transpose", [x], axes=(0, 3, 2, 1)))
    b = emit(scaled(a, (1, 1, 1, 3)))
    wide = make_call("pad", [a], pad_before=(0,) * 4, pad_after=(0, 0, 0, 2), value=1.0)
    return make_call("concat", [b, emit(wide)], axis=3)


def one_channel_along_time(emit, x):
    a, c = (emit(make_call("reshape", [x], shape=(1, 1, 20))) for _ in range(2))
    wide = make_call("pad", [c], pad_before=(0, 0, 0), pad_after=(0, 2, 0), value=0.0)
    b = emit(make_call("reshape", [emit(turned(emit, emit(wide), 3))], shape=(1, 20, 1, 3)))
    a = emit(
        make_call("reshape", [emit(make_call("unary", [a], function="relu"))], shape=(1, 20, 1, 1))
    )
    return make_call("concat", [a, b], axis=3)


def one_channel_turned_first(emit, x):
    a = emit(make_call("reshape", [x], shape=(1, 20, 1, 1)))
    wide = make_call("pad", [a], pad_before=(0,) * 4, pad_after=(0, 0, 0, 2), value=0.0)
    wide = emit(wide)
    return make_call("concat", [emit(make_call("unary", [a], function="relu")), wide], axis=3)


@pytest.mark.parametrize(
    ("shape", "dtype", "before", "expected"),
    [
        ((1, 3, 1, 20), "float32", along_time, along_time_turned_once),
        ((1, 1, 20, 1), "float32", one_channel_along_time, one_channel_turned_first),
        (SHAPE, "int8", constant_from_a_table, moved_constant),
        (SHAPE, "float32", reshapes, a_transpose),
        (SHAPE, "float32", through_int8, of_a_quarter_of_the_bytes),
        ((1, 1, 4, 5), "float32", of_one_channel, turned_first),
    ],
)
def test_hoists(shape, dtype, before, expected) -> None:
    before, expected = (network(build, shape, dtype=dtype) for build in (before, expected))
    assert_rewritten(HoistTransposes(), before, expected)
    assert_same_results(before, expected)


def test_what_several_of_them_read_moves() -> None:
    """As the slices of an image that convolution and shortcut both begin with."""

    def before(emit, x):
        a = emit(make_call("slice", [x], begin=(0, 0, 1, 0), end=SHAPE, strides=(1, 1, 2, 1)))
        a = emit(make_call("concat", [a, a], axis=1))
        b = emit(nhwc(emit(scaled(a, (1, 6, 1, 1), np.arange(6, dtype="float32")))))
        return make_call("concat", [b, emit(nhwc(emit(padded(a, 1))))], axis=3)

    def expected(emit, x):
        a = emit(nhwc(x))
        end = (1, 4, 5, 3)
        a = emit(make_call("slice", [a], begin=(0, 1, 0, 0), end=end, strides=(1, 2, 1, 1)))
        a = emit(make_call("concat", [a, a], axis=3))
        b = emit(scaled(a, (1, 1, 1, 6), np.arange(6, dtype="float32")))
        return make_call("concat", [b, emit(padded(a, 3))], axis=3)

    before, expected = (network(build, SHAPE) for build in (before, expected))
    assert_rewritten(HoistTransposes(), before, expected)
    assert_same_results(before, expected)


def test_reshapes_vanish_in_front_of_a_padding() -> None:
    """What a pooling gave has one channel, and the padding another axis of length 1 for it."""

    def before(emit, x):
        a = emit(make_call("pool2d", [x], kind="average", pool_size=(2, 1), strides=(2, 1)))
        a = emit(scaled(emit(padded(a, 2)), (1, 1, 3, 1)))
        return make_call("reshape", [a], shape=(1, 4, 1, 3))

    def expected(emit, x):
        a = emit(make_call("pool2d", [x], kind="average", pool_size=(2, 1), strides=(2, 1)))
        return scaled(emit(padded(a, 3)), (1, 1, 1, 3))

    before, expected = (network(build, (1, 8, 1, 1)) for build in (before, expected))
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
