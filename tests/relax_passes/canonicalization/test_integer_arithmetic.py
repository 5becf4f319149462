from __future__ import annotations

import numpy as np
import pytest
from tvm import relax
from tvm.relax import op
from tvm.script import ir as I
from tvm.script import relax as R

from relax_passes.canonicalization.integer_arithmetic import IntegerArithmetic
from relax_passes.ir.attributes import NOTES
from relax_passes.operators import make_call, quantized, tables
from relax_passes.operators.tables import Scales
from tests.relax_passes.network_parts import assert_rewritten, network

rng = np.random.default_rng(0)
WEIGHT = rng.integers(-127, 128, (4, 3, 3, 2)).astype("int8")
SCALES = rng.uniform(0.001, 0.01, 4).astype("float32")
BIAS = rng.integers(-1000, 1000, 4).astype("int32")
NHWC = {"data_layout": "NHWC", "kernel_layout": "OHWI", "out_layout": "NHWC"}


def real(value):
    return relax.const(np.asarray(value, "float32"))


def integer(value, dtype="int32"):
    return relax.const(np.asarray(value, dtype))


def dequantize(x, scale, zero_point):
    return op.dequantize(x, real(scale), integer(zero_point))


def quantize(x, scale, zero_point):
    return op.quantize(x, real(scale), integer(zero_point), out_dtype="int8")


def weights(zero_point=0):
    return op.dequantize(relax.const(WEIGHT), real(SCALES), integer(zero_point), axis=0)


def test_convolutions_and_their_residual_keep_their_order() -> None:
    bias_scales = np.float32(0.5) * SCALES

    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((1, 8, 8, 2), "int8")) -> R.Tensor((1, 8, 8, 4), "int8"):
            with R.dataflow():
                d = dequantize(x, 0.5, -7)
                w = weights()
                a = op.nn.conv2d(d, w, padding=(1, 1), **NHWC)
                b = R.dequantize(relax.const(BIAS), real(bias_scales), integer(0), axis=0)
                e = R.add(a, b)
                v = weights()
                c = op.nn.conv2d(d, v, padding=(1, 1), **NHWC)
                f = quantize(c, 0.25, 3)
                q = quantize(e, 0.125, -4)
                k = R.clip(q, -4, 100)
                g = dequantize(f, 0.25, 3)
                h = dequantize(k, 0.125, -4)
                s = R.add(g, h)
                r = R.clip(s, 0, 6)
                gv = quantize(r, 0.05, -128)
                R.output(gv)
            return gv

    first = quantized.convolution_factors(0.5, SCALES, 0.125, 4)
    second = quantized.convolution_factors(0.5, SCALES, 0.25, 4)

    @I.ir_module
    class Expected:
        @R.function
        def main(x: R.Tensor((1, 8, 8, 2), "int8")) -> R.Tensor((1, 8, 8, 4), "int8"):
            with R.dataflow():
                a = make_call(
                    "conv2d",
                    [
                        x,
                        relax.const(WEIGHT),
                        relax.const(BIAS),
                        integer(first[0]),
                        integer(first[1]),
                    ],
                    padding=(1, 1, 1, 1),
                    input_zero_point=-7,
                    output_zero_point=-4,
                    minimum=-4,
                    maximum=100,
                )
                c = make_call(
                    "conv2d",
                    [
                        x,
                        relax.const(WEIGHT),
                        integer([0] * 4),
                        integer(second[0]),
                        integer(second[1]),
                    ],
                    padding=(1, 1, 1, 1),
                    input_zero_point=-7,
                    output_zero_point=3,
                )
                gv = make_call(
                    "add",
                    [c, a],
                    zero_points=(3, -4, -128),
                    maximum=-8,
                    **quantized.add_factors(0.25, 0.125, 0.05),
                )
                R.output(gv)
            return gv

    assert_rewritten(IntegerArithmetic(), Before, Expected)


def functions_of_one_tensor(emit, x):
    d = emit(dequantize(x, 0.05, 3))
    q = quantize(op.multiply(d, op.sigmoid(d)), 0.02, -100)
    return quantize(dequantize(q, 0.02, -100), 0.03, 0)


def two_tables(emit, x):
    silu = tables.table_of(
        lambda x: x / (1 + np.exp(-x.astype("float64"))), Scales(0.05, 3, 0.02, -100)
    )
    rescale = tables.table_of(lambda x: x, Scales(0.02, -100, 0.03, 0))
    q = emit(make_call("lookup", [x, relax.const(silu)]))
    return make_call("lookup", [q, relax.const(rescale)])


def concat_of_two_scales(emit, x, y):
    joined = op.concat((dequantize(x, 0.05, 3), dequantize(y, 0.02, 0)), axis=1)
    return quantize(joined, 0.05, 3)


def concat_of_a_rescaled(emit, x, y):
    table = tables.concat_unsigned(Scales(0.02, 0, 0.05, 3))
    b = emit(make_call("lookup", [y, relax.const(table)]))
    return make_call("concat", [x, b], axis=1)


@pytest.mark.parametrize(
    ("inputs", "attrs", "before", "expected"),
    [
        (1, {"dero.rounding": "single"}, functions_of_one_tensor, two_tables),
        (2, None, concat_of_two_scales, concat_of_a_rescaled),
    ],
)
def test_tables(inputs, attrs, before, expected) -> None:
    shapes = [(4, 4)] * inputs
    before, expected = (
        network(build, *shapes, dtype="int8", attrs=attrs) for build in (before, expected)
    )
    assert_rewritten(IntegerArithmetic(), before, expected)


def notes_of(build, *shape):
    """What the pass says about a network with one int8 input, and the operators that are left."""
    main = IntegerArithmetic()(network(build, shape, dtype="int8"))["main"]
    notes = (main.attrs or {}).get(NOTES) or []
    return [str(note) for note in notes], [b.value.op.name for b in main.body.blocks[0].bindings]


@pytest.mark.parametrize(
    ("weight", "reason"),
    [
        (weights([-100, -20, 20, 100]), "its weights less their zero points span more than 8 bits"),
        (relax.const(WEIGHT.astype("float32")), "its weights are not quantized"),
    ],
)
def test_what_stays_in_float_is_noted(weight, reason) -> None:
    def build(emit, x):
        data, filters = emit(dequantize(x, 0.5, 0)), emit(weight)
        return quantize(op.nn.conv2d(data, filters, **NHWC), 0.25, 0)

    notes, left = notes_of(build, 1, 8, 8, 2)
    assert notes == [f"conv2d kept in float: {reason}"]
    assert "relax.nn.conv2d" in left and "relax.quantize" in left


@pytest.mark.parametrize(
    ("operator", "output_scale", "fits"),
    [
        ("matmul", 0.02, True),
        ("matmul", 1e-6, False),
        ("sum", 20.0, True),
        ("sum", 1e-6, False),
        ("mean", 1e-6, True),
        ("mean", 1e-12, False),
        ("avg_pool2d", 1e-6, True),
        ("avg_pool2d", 1e-12, False),
    ],
)
def test_sums_that_could_overflow_stay_in_float(operator, output_scale, fits) -> None:
    depth = 1000 if operator == "matmul" else 70_000
    matrix = relax.const(np.full((depth, 3), 100, "int8"))

    def build(emit, x):
        data = emit(dequantize(x, 0.05, 0))
        if operator == "matmul":
            result = op.matmul(data, op.dequantize(matrix, real(0.1), integer(0)))
        elif operator == "avg_pool2d":
            result = op.nn.avg_pool2d(data, (1, depth), layout="NHWC")
        else:
            result = getattr(op, operator)(data, 1)
        return quantize(result, output_scale, 0)

    notes, _ = notes_of(build, *((2, 1, depth, 1) if operator == "avg_pool2d" else (2, depth)))
    reason = f"{operator} kept in float: its sums can leave the range of 32 bits with these scales"
    assert notes == ([] if fits else [reason])


@pytest.mark.parametrize(
    ("channels", "expected"),
    [(4095, []), (4096, ["softmax kept in float: in int8 it has at most 4,095 channels"])],
)
def test_softmax_of_more_classes_than_its_sum_has_room_for(channels, expected) -> None:
    def build(emit, x):
        return quantize(op.nn.softmax(dequantize(x, 0.05, 0)), 1 / 256, -128)

    assert notes_of(build, 2, channels)[0] == expected


def test_a_result_that_is_not_quantized_stays_in_float() -> None:
    def build(emit, x):
        d = emit(dequantize(x, 0.05, 3))
        return op.add(d, d)

    expected = "add kept in float: its result is not quantized to int8 with one scale"
    assert notes_of(build, 4, 4)[0] == [expected]


@pytest.mark.parametrize("name", ["argmax", "mean", "sin"])
def test_data_with_a_scale_for_each_channel_stay_in_float(name) -> None:
    def build(emit, x):
        scales = real([0.1, 0.2, 0.3, 0.4])
        data = emit(op.dequantize(x, scales, integer(0), axis=1))
        return getattr(op, name)(data) if name == "sin" else getattr(op, name)(data, 1)

    why = "it has no integer form"
    if name != "sin":
        why = "its operands are not all quantized to int8 with one scale"
    assert notes_of(build, 2, 4)[0] == [f"{name} kept in float: {why}"]


def test_integers_of_a_float_network_stand_for_themselves() -> None:
    def build(emit, x):
        d = emit(dequantize(x, 1.0, 0))
        return op.add(d, d)

    assert notes_of(build, 4, 4)[0] == []
