from __future__ import annotations

import numpy as np
import pytest
from tvm import relax
from tvm.relax import op
from tvm.script import ir as I
from tvm.script import relax as R

from relax_passes.canonicalization.channels_last import ChannelsLast
from relax_passes.ir.decisions import decisions
from tests.relax_passes.network_parts import assert_rewritten, network

rng = np.random.default_rng(0)
WEIGHT = rng.normal(size=(4, 3, 3, 3)).astype("float32")
DEPTHWISE = rng.normal(size=(12, 1, 3, 3)).astype("float32")
DENSE = rng.normal(size=(36, 5)).astype("float32")
QUANTIZED = rng.integers(-128, 128, (4, 3, 3, 3)).astype("int8")
SCALES = rng.uniform(0.1, 1.0, 4).astype("float32")
GAINS = rng.uniform(1.0, 2.0, 4).astype("float32")
NHWC = {"data_layout": "NHWC", "kernel_layout": "OHWI", "out_layout": "NHWC"}


def const(array, dtype="float32"):
    return relax.const(np.ascontiguousarray(array, dtype))


def ohwi(weight):
    return const(weight.transpose(0, 2, 3, 1), weight.dtype)


def to_nchw(x):
    return op.permute_dims(x, axes=[0, 3, 1, 2])


def to_nhwc(x):
    return op.permute_dims(x, axes=[0, 2, 3, 1])


@I.ir_module
class Block:
    """A convolution, its bias and a per-channel operator between NCHW ends."""

    @R.function
    def main(x: R.Tensor((1, 3, 8, 8), "float32")) -> R.Tensor((1, 4, 3, 3), "float32"):
        with R.dataflow():
            a = R.nn.conv2d(x, const(WEIGHT))
            b = R.add(a, const(np.arange(4).reshape(1, 4, 1, 1)))
            c = R.nn.relu(b)
            gv = R.nn.max_pool2d(c, pool_size=[2, 2], strides=[2, 2])
            R.output(gv)
        return gv


def test_transposes_stand_at_the_ends_of_the_model() -> None:
    @I.ir_module
    class Expected:
        @R.function
        def main(x: R.Tensor((1, 3, 8, 8), "float32")) -> R.Tensor((1, 4, 3, 3), "float32"):
            with R.dataflow():
                t = R.permute_dims(x, axes=[0, 2, 3, 1])
                a = relax.op.nn.conv2d(t, ohwi(WEIGHT), **NHWC)
                b = R.add(a, const(np.arange(4).reshape(1, 1, 1, 4)))
                c = R.nn.relu(b)
                d = R.nn.max_pool2d(c, pool_size=[2, 2], strides=[2, 2], layout="NHWC")
                gv = R.permute_dims(d, axes=[0, 3, 1, 2])
                R.output(gv)
            return gv

    assert_rewritten(ChannelsLast(), Block, Expected)


def test_inputs_may_be_declared_channels_last() -> None:
    def expected(emit, x):
        a = op.nn.conv2d(x, ohwi(WEIGHT), **NHWC)
        c = op.nn.relu(op.add(a, const(np.arange(4).reshape(1, 1, 1, 4))))
        d = op.nn.max_pool2d(c, pool_size=[2, 2], strides=[2, 2], layout="NHWC")
        return to_nchw(d)

    declared = network(expected, (1, 8, 8, 3), attrs={"dero.input_layouts": [[0, 2, 3, 1]]})
    assert_rewritten(ChannelsLast("nhwc"), Block, declared)


def test_an_input_that_is_also_read_in_its_own_order_stays() -> None:
    def build(emit, x):
        a = op.nn.avg_pool2d(x, pool_size=[3, 3], padding=[1, 1, 1, 1])
        return op.reshape(op.multiply(a, op.tril(x)), (192,))

    after = ChannelsLast("nhwc")(network(build, (1, 3, 8, 8)))
    assert [int(d) for d in after["main"].params[0].ty.shape] == [1, 3, 8, 8]
    assert "dero.input_layouts" not in after["main"].attrs


def flatten(emit, x):
    a = op.nn.conv2d(to_nchw(x), const(WEIGHT))
    b = op.nn.max_pool2d(a, pool_size=[2, 2], strides=[2, 2])
    return op.matmul(op.nn.relu(op.reshape(b, (1, 36))), const(DENSE))


def moved_weights(emit, x):
    a = op.nn.conv2d(x, ohwi(WEIGHT), **NHWC)
    b = op.nn.max_pool2d(a, pool_size=[2, 2], strides=[2, 2], layout="NHWC")
    weight = DENSE.reshape(4, 9, 5).transpose(1, 0, 2).reshape(36, 5)
    return op.matmul(op.reshape(op.nn.relu(b), (1, 36)), const(weight))


def channel_shuffle(emit, x):
    b = op.permute_dims(op.reshape(to_nchw(x), (1, 3, 4, 5, 5)), axes=[0, 2, 1, 3, 4])
    d = op.nn.conv2d(op.reshape(b, (1, 12, 5, 5)), const(DEPTHWISE), groups=12)
    return to_nhwc(d)


def one_transpose(emit, x):
    b = op.permute_dims(op.reshape(x, (25, 3, 4)), axes=[0, 2, 1])
    return op.nn.conv2d(op.reshape(b, (1, 5, 5, 12)), ohwi(DEPTHWISE), groups=12, **NHWC)


def axes(emit, x):
    a = emit(op.nn.conv2d(emit(to_nchw(x)), const(WEIGHT)))
    c = op.strided_slice(op.concat((a, a), axis=1), axes=[1, 3], begin=[2, 1], end=[6, 5])
    e = op.nn.pad(op.nn.softmax(c, axis=1), (0, 0, 0, 0, 1, 0, 0, 2))
    return op.mean(e, axis=[2, 3])


def axes_of_the_layout(emit, x):
    a = emit(op.nn.conv2d(x, ohwi(WEIGHT), **NHWC))
    c = op.strided_slice(op.concat((a, a), axis=3), axes=[3, 2], begin=[2, 1], end=[6, 5])
    e = op.nn.pad(op.nn.softmax(c, axis=-1), (0, 0, 1, 0, 0, 2, 0, 0))
    return op.mean(e, axis=[1, 2])


def gains_by_pixels(emit, x):
    a = emit(op.nn.conv2d(emit(to_nchw(x)), const(WEIGHT)))
    factor = op.divide(op.mean(a, axis=[1], keepdims=True), const(GAINS.reshape(1, 4, 1, 1)))
    return to_nhwc(op.multiply(a, factor))


def pixels_by_gains(emit, x):
    a = emit(op.nn.conv2d(x, ohwi(WEIGHT), **NHWC))
    factor = op.divide(op.mean(a, axis=[3], keepdims=True), const(GAINS.reshape(1, 1, 1, 4)))
    return op.multiply(a, factor)


def quantized(emit, x):
    zero = relax.const(0, "int32")
    a = emit(op.dequantize(x, relax.const(0.5, "float32"), zero, axis=1))
    w = emit(op.dequantize(const(QUANTIZED, "int8"), const(SCALES), zero, axis=0))
    return to_nhwc(op.quantize(op.nn.conv2d(a, w), const(SCALES), zero, axis=1))


def quantized_along_the_last_axis(emit, x):
    zero = relax.const(0, "int32")
    t = emit(to_nhwc(op.dequantize(x, relax.const(0.5, "float32"), zero, axis=1)))
    w = emit(op.dequantize(ohwi(QUANTIZED), const(SCALES), zero, axis=0))
    return op.quantize(op.nn.conv2d(t, w, **NHWC), const(SCALES), zero, axis=3)


@pytest.mark.parametrize(
    ("shape", "dtype", "before", "expected"),
    [
        ((1, 8, 8, 3), "float32", flatten, moved_weights),
        ((1, 5, 5, 12), "float32", channel_shuffle, one_transpose),
        ((1, 8, 8, 3), "float32", axes, axes_of_the_layout),
        ((1, 8, 8, 3), "float32", gains_by_pixels, pixels_by_gains),
        ((1, 3, 8, 8), "int8", quantized, quantized_along_the_last_axis),
    ],
)
def test_what_follows_the_layout(shape, dtype, before, expected) -> None:
    before, expected = (network(build, shape, dtype=dtype) for build in (before, expected))
    assert_rewritten(ChannelsLast(), before, expected)


@pytest.mark.parametrize("first", ["convolution", "input"])
def test_operands_in_different_orders_meet_where_it_is_cheapest(first) -> None:
    weight = rng.normal(size=(3, 3, 3, 3)).astype("float32")

    def build(emit, x):
        a = emit(op.nn.conv2d(x, const(weight), padding=[1, 1]))
        return to_nhwc(op.add(a, x) if first == "convolution" else op.add(x, a))

    after = ChannelsLast()(network(build, (1, 3, 8, 8)))
    calls = [b.value.op.name for b in after["main"].body.blocks[0].bindings]
    assert calls == ["relax.permute_dims", "relax.nn.conv2d", "relax.add"]


def test_an_operator_that_needs_a_transpose_has_a_reason() -> None:
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((1, 3, 8, 8), "float32")) -> R.Tensor((1, 6, 24), "float32"):
            with R.dataflow():
                a = R.nn.conv2d(x, const(WEIGHT))
                b = R.reshape(a, (1, 6, 24))
                c = R.reshape(a, (1, 4, 36))
                d = R.tril(c)
                e = R.reshape(d, (1, 6, 24))
                gv = R.add(b, e)
                R.output(gv)
            return gv

    after = ChannelsLast()(Before)
    found = [(d.join, d.action, d.reason) for d in decisions(after)]
    straddles = "its axes [1, 6, 24] straddle those of [1, 4, 6, 6] as they lie in memory"
    assert [(action, reason) for _, action, reason in found] == [
        ("operands transposed", straddles),
        ("operands transposed", "it knows no other order of axes than the network's"),
    ]
    calls = {b.var.name: b.value.op.name for b in after["main"].body.blocks[0].bindings}
    assert [calls[join] for join, *_ in found] == ["relax.reshape", "relax.tril"]


def test_an_unknown_layout_is_refused() -> None:
    with pytest.raises(ValueError, match='input_layout must be "model" or "nhwc", got "nchw"'):
        ChannelsLast("nchw")
