from __future__ import annotations

import tvm
from tvm import relax
from tvm.script import ir as I
from tvm.script import relax as R

from relax_passes.canonicalization.commute_quantization import CommuteQuantization
from relax_passes.ir.decisions import decisions, forget

SCALE, OTHER = relax.const(0.1, "float32"), relax.const(0.2, "float32")
ZERO = relax.const(-3, "int32")


def check(before, expected) -> None:
    after = CommuteQuantization()(before)
    tvm.ir.assert_structural_equal(after, expected)
    tvm.ir.assert_structural_equal(CommuteQuantization()(after), after)


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

    check(Before, Expected)


def test_scales_must_be_equal() -> None:
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((4,), "int8"), y: R.Tensor((4,), "int8")) -> R.Tensor((8,), "int8"):
            with R.dataflow():
                a = R.dequantize(x, SCALE, ZERO)
                b = R.dequantize(y, OTHER, ZERO)
                c = R.concat((a, b), axis=0)
                gv = R.quantize(c, SCALE, ZERO, out_dtype="int8")
                R.output(gv)
            return gv

    # `IntegerArithmetic` rescales the operands of a concatenation, so it decides
    tvm.ir.assert_structural_equal(CommuteQuantization()(Before), Before)


def test_a_move_that_stays_in_float_has_a_reason() -> None:
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((4,), "int8"), y: R.Tensor((4,), "int8")) -> R.Tensor((6,), "float32"):
            with R.dataflow():
                a = R.dequantize(x, SCALE, ZERO)
                b = R.dequantize(y, OTHER, ZERO)
                c = R.maximum(a, b)
                d = R.maximum(c, a)
                e = R.nn.pad(a, (0, 0), pad_value=0.25)
                f = R.maximum(d, e)
                gv = R.nn.pad(f, (1, 1), pad_value=0.25)
                R.output(gv)
            return gv

    after = CommuteQuantization()(Before)
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
    tvm.ir.assert_structural_equal(forget(after, ["CommuteQuantization"]), Before)


def test_one_dequantize_serves_all_readers() -> None:
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((4,), "int8")) -> R.Tensor((4,), "float32"):
            with R.dataflow():
                a = R.dequantize(x, SCALE, ZERO)
                b = R.dequantize(x, SCALE, ZERO)
                gv = R.multiply(a, b)
                R.output(gv)
            return gv

    @I.ir_module
    class Expected:
        @R.function
        def main(x: R.Tensor((4,), "int8")) -> R.Tensor((4,), "float32"):
            with R.dataflow():
                a = R.dequantize(x, SCALE, ZERO)
                gv = R.multiply(a, a)
                R.output(gv)
            return gv

    check(Before, Expected)


def test_a_padding_is_rounded_right_behind_it() -> None:
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((1, 2, 2, 2), "int8")) -> R.Tensor((1, 2, 2, 4), "int8"):
            with R.dataflow():
                a = R.dequantize(x, SCALE, ZERO)
                p = R.nn.pad(a, (0, 0, 0, 0, 0, 0, 1, 1), pad_value=0.57)
                gv = R.quantize(p, SCALE, ZERO, out_dtype="int8")
                R.output(gv)
            return gv

    @I.ir_module
    class Expected:
        @R.function
        def main(x: R.Tensor((1, 2, 2, 2), "int8")) -> R.Tensor((1, 2, 2, 4), "int8"):
            with R.dataflow():
                gv = R.nn.pad(x, (0, 0, 0, 0, 0, 0, 1, 1), pad_value=3.0)
                R.output(gv)
            return gv

    after = CommuteQuantization()(Before)
    kept = relax.transform.DeadCodeElimination()(after)
    tvm.ir.assert_structural_equal(kept, Expected)
