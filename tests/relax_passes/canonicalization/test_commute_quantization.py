from __future__ import annotations

import tvm
from tvm import relax
from tvm.relax import op
from tvm.script import ir as I
from tvm.script import relax as R

from relax_passes.canonicalization.commute_quantization import CommuteQuantization
from relax_passes.ir.decisions import decisions
from tests.relax_passes.network_parts import (
    assert_left_alone,
    assert_rewritten,
    network,
    without_findings,
)

SCALE, OTHER = relax.const(0.1, "float32"), relax.const(0.2, "float32")
ZERO = relax.const(-3, "int32")


def test_moves_work_on_integers() -> None:
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((1, 4, 4, 2), "int8"), y: R.Tensor((1, 4, 4, 2), "int8")) -> R.Tensor(
            (32,), "int8"
        ):
            with R.dataflow():
                a = R.dequantize(x, SCALE, ZERO)
                b = R.dequantize(y, SCALE, ZERO)
                c = R.concat((a, b), axis=3)
                p = R.nn.pad(c, (0, 0, 1, 1, 1, 1, 0, 0), pad_value=0.5)
                m = R.nn.max_pool2d(p, pool_size=[3, 3], strides=[2, 2], layout="NHWC")
                t = R.permute_dims(m, axes=[0, 3, 1, 2])
                q = R.quantize(t, SCALE, ZERO, out_dtype="int8")
                d = R.dequantize(q, SCALE, ZERO)
                r = R.reshape(d, (16,))
                s = R.concat((r, r), axis=0)
                gv = R.quantize(s, SCALE, ZERO, out_dtype="int8")
                R.output(gv)
            return gv

    @I.ir_module
    class Expected:
        @R.function
        def main(x: R.Tensor((1, 4, 4, 2), "int8"), y: R.Tensor((1, 4, 4, 2), "int8")) -> R.Tensor(
            (32,), "int8"
        ):
            with R.dataflow():
                c = R.concat((x, y), axis=3)
                p = R.nn.pad(c, (0, 0, 1, 1, 1, 1, 0, 0), pad_value=2.0)
                m = R.nn.max_pool2d(p, pool_size=[3, 3], strides=[2, 2], layout="NHWC")
                t = R.permute_dims(m, axes=[0, 3, 1, 2])
                r = R.reshape(t, (16,))
                gv = R.concat((r, r), axis=0)
                R.output(gv)
            return gv

    assert_rewritten(CommuteQuantization(), Before, Expected)


def dequantized(x, scale=SCALE):
    return op.dequantize(x, scale, ZERO)


def quantized(x):
    return op.quantize(x, SCALE, ZERO, out_dtype="int8")


def padded_channels(x, value):
    return op.nn.pad(x, (0, 0, 0, 0, 0, 0, 1, 1), pad_value=value)


def two_scales(emit, x, y):
    return quantized(op.concat((dequantized(x), dequantized(y, OTHER)), axis=0))


def test_what_is_decided_later_stays_in_float() -> None:
    # `IntegerArithmetic` rescales the operands of a concatenation, so it says why if it does not
    assert_left_alone(CommuteQuantization(), network(two_scales, (4,), (4,), dtype="int8"))


def moves(emit, x, y):
    a, b = emit(dequantized(x)), emit(dequantized(y, OTHER))
    largest = emit(op.maximum(emit(op.maximum(a, b)), a))
    padded = emit(op.nn.pad(a, (0, 0), pad_value=0.25))
    return op.nn.pad(emit(op.maximum(largest, padded)), (1, 1), pad_value=0.25)


def test_a_move_that_stays_in_float_has_a_reason() -> None:
    before = network(moves, (4,), (4,), dtype="int8")
    after = CommuteQuantization()(before)
    assert [(d.join, d.action, d.reason) for d in decisions(after)] == [
        (
            "lv2",
            "kept in float",
            "its operands have scale 0.1 and zero point -3, and scale 0.2 and zero point -3",
        ),
        ("lv3", "kept in float", "not all of its operands are quantized"),
        (
            "lv4",
            "kept in float",
            "no integer stands for 0.25 at scale 0.1 and zero point -3",
        ),
    ]
    assert_left_alone(CommuteQuantization(), after)
    tvm.ir.assert_structural_equal(without_findings(after), before)


def test_one_dequantize_serves_all_readers() -> None:
    def before(emit, x):
        return op.multiply(emit(dequantized(x)), emit(dequantized(x)))

    def expected(emit, x):
        a = emit(dequantized(x))
        return op.multiply(a, a)

    modules = (network(build, (4,), dtype="int8") for build in (before, expected))
    assert_rewritten(CommuteQuantization(), *modules)


def test_a_padding_is_rounded_right_behind_it() -> None:
    def before(emit, x):
        return quantized(padded_channels(dequantized(x), 0.57))

    def expected(emit, x):
        return padded_channels(x, 3.0)

    before, expected = (network(b, (1, 2, 2, 2), dtype="int8") for b in (before, expected))
    kept = relax.transform.DeadCodeElimination()(CommuteQuantization()(before))
    tvm.ir.assert_structural_equal(kept, expected)
