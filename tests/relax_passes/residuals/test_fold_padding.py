"""FoldPadding: before and after."""

from __future__ import annotations

import numpy as np
import pytest
from tvm import relax
from tvm.script import ir as I
from tvm.script import relax as R

from relax_passes.operators import make_call
from relax_passes.residuals.fold_padding import FoldPadding
from tests.relax_passes import network_parts
from tests.relax_passes.network_parts import (
    assert_left_alone,
    assert_rewritten,
    assert_same_results,
    network,
)

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

    assert_rewritten(FoldPadding(), Before, Expected)
    assert_same_results(Before, Expected)


def another_value(emit, x):
    return conv(emit(pad(x, value=1.0)), 0, 0, 0, 0)


def of_channels(emit, x):
    return conv(emit(pad(x, pad_before=(0, 0, 0, 1), pad_after=(0, 0, 0, 0))), 0, 0, 0, 0)


def with_two_readers(emit, x):
    p = emit(pad(x))
    return make_call("add", [emit(conv(p, 0, 0, 0, 0)), emit(conv(p, 0, 0, 0, 0))])


def before_a_pooling(emit, x):
    return make_call("pool2d", [emit(pad(x))], kind="max", pool_size=(2, 2), strides=(1, 1))


@pytest.mark.parametrize(
    ("channels", "build"),
    [(2, another_value), (1, of_channels), (2, with_two_readers), (2, before_a_pooling)],
)
def test_padding_stays(channels, build) -> None:
    assert_left_alone(FoldPadding(), network(build, (1, 6, 5, channels)))


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_int8_is_padded_with_the_zero_point(value) -> None:
    def before(emit, x):
        p = emit(pad(x, value=value))
        return network_parts.conv(p, 4, padding=(0,) * 4, input_zero_point=3)

    def folded(emit, x):
        return network_parts.conv(x, 4, padding=(1, 2, 3, 4), input_zero_point=3)

    before, folded = (network(build, (1, 6, 5, 2), dtype="int8") for build in (before, folded))
    assert_rewritten(FoldPadding(), before, folded if value == 3 else before)
