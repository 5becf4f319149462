from __future__ import annotations

import numpy as np
import pytest
import tvm
from tvm import relax
from tvm.script import ir as I
from tvm.script import relax as R

from relax_passes.canonicalization.integer_arithmetic import IntegerArithmetic
from relax_passes.ir.dataflow import NOTES
from relax_passes.operators import make_call, quantized, tables

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
    return relax.op.dequantize(x, real(scale), integer(zero_point))


def quantize(x, scale, zero_point):
    return relax.op.quantize(x, real(scale), integer(zero_point), out_dtype="int8")


def weights(zero_point=0):
    return relax.op.dequantize(relax.const(WEIGHT), real(SCALES), integer(zero_point), axis=0)


def check(before, expected) -> None:
    after = IntegerArithmetic()(before)
    tvm.ir.assert_structural_equal(after, expected)
    tvm.ir.assert_structural_equal(IntegerArithmetic()(after), after)


def test_convolutions_and_their_residual_keep_their_order() -> None:
    bias_scales = np.float32(0.5) * SCALES

    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((1, 8, 8, 2), "int8")) -> R.Tensor((1, 8, 8, 4), "int8"):
            with R.dataflow():
                d = dequantize(x, 0.5, -7)
                w = weights()
                a = relax.op.nn.conv2d(d, w, padding=(1, 1), **NHWC)
                b = R.dequantize(relax.const(BIAS), real(bias_scales), integer(0), axis=0)
                e = R.add(a, b)
                v = weights()
                c = relax.op.nn.conv2d(d, v, padding=(1, 1), **NHWC)
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

    check(Before, Expected)


def test_functions_of_one_tensor_are_tables() -> None:
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((4, 4), "int8")) -> R.Tensor((4, 4), "int8"):
            R.func_attr({"dero.rounding": "single"})
            with R.dataflow():
                d = dequantize(x, 0.05, 3)
                s = R.sigmoid(d)
                m = R.multiply(d, s)
                q = quantize(m, 0.02, -100)
                e = dequantize(q, 0.02, -100)
                gv = quantize(e, 0.03, 0)
                R.output(gv)
            return gv

    silu = tables.table_of(lambda x: x / (1 + np.exp(-x.astype("float64"))), 0.05, 3, 0.02, -100)
    rescale = tables.table_of(lambda x: x, 0.02, -100, 0.03, 0)

    @I.ir_module
    class Expected:
        @R.function
        def main(x: R.Tensor((4, 4), "int8")) -> R.Tensor((4, 4), "int8"):
            R.func_attr({"dero.rounding": "single"})
            with R.dataflow():
                q = make_call("lookup", [x, relax.const(silu)])
                gv = make_call("lookup", [q, relax.const(rescale)])
                R.output(gv)
            return gv

    check(Before, Expected)


def test_concatenation_rescales_what_differs() -> None:
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((4, 4), "int8"), y: R.Tensor((4, 4), "int8")) -> R.Tensor(
            (4, 8), "int8"
        ):
            with R.dataflow():
                a = dequantize(x, 0.05, 3)
                b = dequantize(y, 0.02, 0)
                c = R.concat((a, b), axis=1)
                gv = quantize(c, 0.05, 3)
                R.output(gv)
            return gv

    table = tables.concat_unsigned(0.02, 0, 0.05, 3)

    @I.ir_module
    class Expected:
        @R.function
        def main(x: R.Tensor((4, 4), "int8"), y: R.Tensor((4, 4), "int8")) -> R.Tensor(
            (4, 8), "int8"
        ):
            with R.dataflow():
                b = make_call("lookup", [y, relax.const(table)])
                gv = make_call("concat", [x, b], axis=1)
                R.output(gv)
            return gv

    check(Before, Expected)


@pytest.mark.parametrize(
    ("weight", "reason"),
    [
        (
            weights([-100, -20, 20, 100]),
            "conv2d kept in float: its weights less their zero points span more than 8 bits",
        ),
        (
            relax.const(WEIGHT.astype("float32")),
            "conv2d kept in float: its weights are not quantized",
        ),
    ],
)
def test_what_stays_in_float_is_noted(weight, reason) -> None:
    x = relax.Var("x", relax.TensorType((1, 8, 8, 2), "int8"))
    builder = relax.BlockBuilder()
    with builder.function("main", [x]):
        with builder.dataflow():
            data = builder.emit(dequantize(x, 0.5, 0))
            conv = builder.emit(relax.op.nn.conv2d(data, builder.emit(weight), **NHWC))
            output = builder.emit_output(quantize(conv, 0.25, 0))
        builder.emit_func_output(output)
    before = builder.finalize()
    after = IntegerArithmetic()(before)
    assert [str(note) for note in after["main"].attrs[NOTES]] == [reason]
    names = [b.value.op.name for b in after["main"].body.blocks[0].bindings]
    assert "relax.nn.conv2d" in names and "relax.quantize" in names


@pytest.mark.parametrize(
    ("operator", "output_scale", "reason"),
    [
        ("matmul", 0.02, None),
        ("matmul", 1e-6, "matmul kept in float: its sums can leave the range of 32 bits"),
        ("sum", 20.0, None),
        ("sum", 1e-6, "sum kept in float: its sums can leave the range of 32 bits"),
        ("mean", 1e-6, None),
        ("mean", 1e-12, "mean kept in float: its sums can leave the range of 32 bits"),
        ("avg_pool2d", 1e-6, None),
        ("avg_pool2d", 1e-12, "avg_pool2d kept in float: its sums can leave the range of 32 bits"),
    ],
)
def test_sums_that_could_overflow_stay_in_float(operator, output_scale, reason) -> None:
    depth = 1000 if operator == "matmul" else 70_000
    shape = (2, 1, depth, 1) if operator == "avg_pool2d" else (2, depth)
    x = relax.Var("x", relax.TensorType(shape, "int8"))
    matrix = relax.const(np.full((depth, 3), 100, "int8"))
    builder = relax.BlockBuilder()
    with builder.function("main", [x]):
        with builder.dataflow():
            data = builder.emit(dequantize(x, 0.05, 0))
            if operator == "matmul":
                weight = builder.emit(relax.op.dequantize(matrix, real(0.1), integer(0)))
                result = builder.emit(relax.op.matmul(data, weight))
            elif operator == "avg_pool2d":
                pool = relax.op.nn.avg_pool2d(data, (1, depth), layout="NHWC")
                result = builder.emit(pool)
            else:
                result = builder.emit(getattr(relax.op, operator)(data, 1))
            output = builder.emit_output(quantize(result, output_scale, 0))
        builder.emit_func_output(output)
    notes = IntegerArithmetic()(builder.finalize())["main"].attrs.get(NOTES) or []
    expected = [] if reason is None else [f"{reason} with these scales"]
    assert [str(note) for note in notes] == expected


@pytest.mark.parametrize(
    ("channels", "expected"),
    [(4095, []), (4096, ["softmax kept in float: in int8 it has at most 4,095 channels"])],
)
def test_softmax_of_more_classes_than_its_sum_has_room_for(channels, expected) -> None:
    x = relax.Var("x", relax.TensorType((2, channels), "int8"))
    builder = relax.BlockBuilder()
    with builder.function("main", [x]):
        with builder.dataflow():
            result = builder.emit(relax.op.nn.softmax(builder.emit(dequantize(x, 0.05, 0))))
            output = builder.emit_output(quantize(result, 1 / 256, -128))
        builder.emit_func_output(output)
    notes = IntegerArithmetic()(builder.finalize())["main"].attrs.get(NOTES) or []
    assert [str(note) for note in notes] == expected


def test_a_result_that_is_not_quantized_stays_in_float() -> None:
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((4, 4), "int8")) -> R.Tensor((4, 4), "float32"):
            with R.dataflow():
                d = dequantize(x, 0.05, 3)
                gv = R.add(d, d)
                R.output(gv)
            return gv

    after = IntegerArithmetic()(Before)
    assert [str(note) for note in after["main"].attrs[NOTES]] == [
        "add kept in float: its result is not quantized to int8 with one scale"
    ]
