from __future__ import annotations

import numpy as np
import pytest
import tvm
from tvm import relax
from tvm.script import ir as I
from tvm.script import relax as R

from relax_passes.canonicalization.channels_last import ChannelsLast
from relax_passes.ir.decisions import decisions

rng = np.random.default_rng(0)
WEIGHT = rng.normal(size=(4, 3, 3, 3)).astype("float32")
DEPTHWISE = rng.normal(size=(12, 1, 3, 3)).astype("float32")
NHWC = {"data_layout": "NHWC", "kernel_layout": "OHWI", "out_layout": "NHWC"}


def const(array, dtype="float32"):
    return relax.const(np.ascontiguousarray(array, dtype))


def ohwi(weight):
    return const(weight.transpose(0, 2, 3, 1), weight.dtype)


def check(before, expected, **options) -> None:
    after = ChannelsLast(**options)(before)
    tvm.ir.assert_structural_equal(after, expected)
    tvm.ir.assert_structural_equal(ChannelsLast(**options)(after), after)


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

    check(Block, Expected)


def test_inputs_may_be_declared_channels_last() -> None:
    @I.ir_module
    class Expected:
        @R.function
        def main(x: R.Tensor((1, 8, 8, 3), "float32")) -> R.Tensor((1, 4, 3, 3), "float32"):
            R.func_attr({"dero.input_layouts": [[0, 2, 3, 1]]})
            with R.dataflow():
                a = relax.op.nn.conv2d(x, ohwi(WEIGHT), **NHWC)
                b = R.add(a, const(np.arange(4).reshape(1, 1, 1, 4)))
                c = R.nn.relu(b)
                d = R.nn.max_pool2d(c, pool_size=[2, 2], strides=[2, 2], layout="NHWC")
                gv = R.permute_dims(d, axes=[0, 3, 1, 2])
                R.output(gv)
            return gv

    check(Block, Expected, input_layout="nhwc")


def test_an_input_that_is_also_read_in_its_own_order_stays() -> None:
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((1, 3, 8, 8), "float32")) -> R.Tensor((192,), "float32"):
            with R.dataflow():
                a = R.nn.avg_pool2d(x, pool_size=[3, 3], padding=[1, 1, 1, 1])
                b = R.cumsum(x, axis=1)
                c = R.multiply(a, b)
                gv = R.reshape(c, (192,))
                R.output(gv)
            return gv

    after = ChannelsLast("nhwc")(Before)
    assert [int(d) for d in after["main"].params[0].ty.shape] == [1, 3, 8, 8]
    assert "dero.input_layouts" not in after["main"].attrs


def test_flatten_before_a_dense_layer_moves_weights() -> None:
    weight = rng.normal(size=(36, 5)).astype("float32")
    moved = weight.reshape(4, 9, 5).transpose(1, 0, 2).reshape(36, 5)

    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((1, 8, 8, 3), "float32")) -> R.Tensor((1, 5), "float32"):
            with R.dataflow():
                t = R.permute_dims(x, axes=[0, 3, 1, 2])
                a = R.nn.conv2d(t, const(WEIGHT))
                b = R.nn.max_pool2d(a, pool_size=[2, 2], strides=[2, 2])
                c = R.reshape(b, (1, 36))
                d = R.nn.relu(c)
                gv = R.matmul(d, const(weight))
                R.output(gv)
            return gv

    @I.ir_module
    class Expected:
        @R.function
        def main(x: R.Tensor((1, 8, 8, 3), "float32")) -> R.Tensor((1, 5), "float32"):
            with R.dataflow():
                a = relax.op.nn.conv2d(x, ohwi(WEIGHT), **NHWC)
                b = R.nn.max_pool2d(a, pool_size=[2, 2], strides=[2, 2], layout="NHWC")
                d = R.nn.relu(b)
                c = R.reshape(d, (1, 36))
                gv = R.matmul(c, const(moved))
                R.output(gv)
            return gv

    check(Before, Expected)


def test_channel_shuffle_is_one_transpose() -> None:
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((1, 5, 5, 12), "float32")) -> R.Tensor((1, 3, 3, 12), "float32"):
            with R.dataflow():
                t = R.permute_dims(x, axes=[0, 3, 1, 2])
                a = R.reshape(t, (1, 3, 4, 5, 5))
                b = R.permute_dims(a, axes=[0, 2, 1, 3, 4])
                c = R.reshape(b, (1, 12, 5, 5))
                d = R.nn.conv2d(c, const(DEPTHWISE), groups=12)
                gv = R.permute_dims(d, axes=[0, 2, 3, 1])
                R.output(gv)
            return gv

    @I.ir_module
    class Expected:
        @R.function
        def main(x: R.Tensor((1, 5, 5, 12), "float32")) -> R.Tensor((1, 3, 3, 12), "float32"):
            with R.dataflow():
                a = R.reshape(x, (25, 3, 4))
                b = R.permute_dims(a, axes=[0, 2, 1])
                c = R.reshape(b, (1, 5, 5, 12))
                gv = relax.op.nn.conv2d(c, ohwi(DEPTHWISE), groups=12, **NHWC)
                R.output(gv)
            return gv

    check(Before, Expected)


def test_axes_follow_the_layout() -> None:
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((1, 8, 8, 3), "float32")) -> R.Tensor((1, 4), "float32"):
            with R.dataflow():
                t = R.permute_dims(x, axes=[0, 3, 1, 2])
                a = R.nn.conv2d(t, const(WEIGHT))
                b = R.concat((a, a), axis=1)
                c = R.strided_slice(b, axes=[1, 3], begin=[2, 1], end=[6, 5])
                d = R.nn.softmax(c, axis=1)
                e = R.nn.pad(d, (0, 0, 0, 0, 1, 0, 0, 2))
                gv = R.mean(e, axis=[2, 3])
                R.output(gv)
            return gv

    @I.ir_module
    class Expected:
        @R.function
        def main(x: R.Tensor((1, 8, 8, 3), "float32")) -> R.Tensor((1, 4), "float32"):
            with R.dataflow():
                a = relax.op.nn.conv2d(x, ohwi(WEIGHT), **NHWC)
                b = R.concat((a, a), axis=3)
                c = R.strided_slice(b, axes=[3, 2], begin=[2, 1], end=[6, 5])
                d = R.nn.softmax(c, axis=-1)
                e = R.nn.pad(d, (0, 0, 1, 0, 0, 2, 0, 0))
                gv = R.mean(e, axis=[1, 2])
                R.output(gv)
            return gv

    check(Before, Expected)


def test_quantized_weights_and_scales_follow() -> None:
    weight = rng.integers(-128, 128, (4, 3, 3, 3)).astype("int8")
    scales = rng.uniform(0.1, 1.0, 4).astype("float32")
    zero = relax.const(0, "int32")

    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((1, 3, 8, 8), "int8")) -> R.Tensor((1, 6, 6, 4), "int8"):
            with R.dataflow():
                a = R.dequantize(x, relax.const(0.5, "float32"), zero, axis=1)
                w = R.dequantize(const(weight, "int8"), const(scales), zero, axis=0)
                c = R.nn.conv2d(a, w)
                q = R.quantize(c, const(scales), zero, axis=1)
                gv = R.permute_dims(q, axes=[0, 2, 3, 1])
                R.output(gv)
            return gv

    @I.ir_module
    class Expected:
        @R.function
        def main(x: R.Tensor((1, 3, 8, 8), "int8")) -> R.Tensor((1, 6, 6, 4), "int8"):
            with R.dataflow():
                a = R.dequantize(x, relax.const(0.5, "float32"), zero, axis=1)
                t = R.permute_dims(a, axes=[0, 2, 3, 1])
                w = R.dequantize(ohwi(weight), const(scales), zero, axis=0)
                c = relax.op.nn.conv2d(t, w, **NHWC)
                gv = R.quantize(c, const(scales), zero, axis=3)
                R.output(gv)
            return gv

    check(Before, Expected)


@pytest.mark.parametrize("first", ["convolution", "input"])
def test_operands_in_different_orders_meet_where_it_is_cheapest(first) -> None:
    weight = rng.normal(size=(3, 3, 3, 3)).astype("float32")

    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((1, 3, 8, 8), "float32")) -> R.Tensor((1, 8, 8, 3), "float32"):
            with R.dataflow():
                a = R.nn.conv2d(x, const(weight), padding=[1, 1])
                b = relax.op.add(a, x) if first == "convolution" else relax.op.add(x, a)
                gv = R.permute_dims(b, axes=[0, 2, 3, 1])
                R.output(gv)
            return gv

    calls = [b.value.op.name for b in ChannelsLast()(Before)["main"].body.blocks[0].bindings]
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
                d = R.cumsum(c, axis=1)
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
    assert [calls[join] for join, *_ in found] == ["relax.reshape", "relax.cumsum"]


def test_an_unknown_layout_is_refused() -> None:
    with pytest.raises(ValueError, match='input_layout must be "model" or "nhwc", got "nchw"'):
        ChannelsLast("nchw")
