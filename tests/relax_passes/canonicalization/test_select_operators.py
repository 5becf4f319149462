from __future__ import annotations

import re

import numpy as np
import pytest
import tvm
from tvm import relax
from tvm.script import ir as I
from tvm.script import relax as R

from relax_passes.canonicalization.select_operators import SelectOperators
from relax_passes.ir.decisions import decisions, forget
from relax_passes.operators import attributes_of, make_call

rng = np.random.default_rng(0)
WEIGHT = rng.normal(size=(4, 3, 3, 3)).astype("float32")
BIAS = rng.normal(size=(1, 1, 1, 4)).astype("float32")
NHWC = {"data_layout": "NHWC", "kernel_layout": "OHWI", "out_layout": "NHWC"}


def const(array, dtype="float32"):
    return relax.const(np.ascontiguousarray(array, dtype))


def check(before, expected) -> None:
    after = SelectOperators()(before)
    tvm.ir.assert_structural_equal(after, expected)
    tvm.ir.assert_structural_equal(SelectOperators()(after), after)


def test_bias_and_clamp_are_fused() -> None:
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((1, 8, 8, 3), "float32")) -> R.Tensor((1, 6, 6, 4), "float32"):
            with R.dataflow():
                a = relax.op.nn.conv2d(x, const(WEIGHT), **NHWC)
                b = R.add(const(BIAS), a)
                c = R.clip(b, 0.0, 6.0)
                d = relax.op.nn.conv2d(x, const(WEIGHT), **NHWC)
                e = R.add(c, d)
                gv = R.nn.relu(e)
                R.output(gv)
            return gv

    @I.ir_module
    class Expected:
        @R.function
        def main(x: R.Tensor((1, 8, 8, 3), "float32")) -> R.Tensor((1, 6, 6, 4), "float32"):
            with R.dataflow():
                c = make_call(
                    "conv2d", [x, const(WEIGHT), const(BIAS.reshape(4))], minimum=0.0, maximum=6.0
                )
                d = make_call("conv2d", [x, const(WEIGHT), const(np.zeros(4))])
                gv = make_call("add", [c, d], minimum=0.0)
                R.output(gv)
            return gv

    check(Before, Expected)


def test_values_with_two_readers_are_not_fused() -> None:
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((1, 8, 8, 3), "float32")) -> R.Tensor((1, 6, 6, 4), "float32"):
            with R.dataflow():
                a = relax.op.nn.conv2d(x, const(WEIGHT), **NHWC)
                b = R.nn.relu(a)
                gv = R.multiply(a, b)
                R.output(gv)
            return gv

    @I.ir_module
    class Expected:
        @R.function
        def main(x: R.Tensor((1, 8, 8, 3), "float32")) -> R.Tensor((1, 6, 6, 4), "float32"):
            with R.dataflow():
                a = make_call("conv2d", [x, const(WEIGHT), const(np.zeros(4))])
                b = make_call("unary", [a], function="relu")
                gv = make_call("multiply", [a, b])
                R.output(gv)
            return gv

    check(Before, Expected)


def test_layers_and_moves() -> None:
    weight = rng.normal(size=(18, 5)).astype("float32")

    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((1, 8, 8, 2), "float32")) -> R.Tensor((1, 5), "float32"):
            with R.dataflow():
                a = R.nn.avg_pool2d(x, pool_size=[2, 2], strides=[2, 2], layout="NHWC")
                b = R.nn.pad(a, (0, 0, 1, 0, 0, 1, 0, 0), pad_value=2.0)
                c = R.strided_slice(b, axes=[1, 2], begin=[0, -5], end=[5, 100], strides=[2, 2])
                d = R.reshape(c, (1, 18))
                e = R.matmul(d, const(weight))
                f = R.add(e, const(np.ones(5)))
                gv = R.nn.softmax(f, axis=-1)
                R.output(gv)
            return gv

    @I.ir_module
    class Expected:
        @R.function
        def main(x: R.Tensor((1, 8, 8, 2), "float32")) -> R.Tensor((1, 5), "float32"):
            with R.dataflow():
                a = make_call("pool2d", [x], kind="average", pool_size=(2, 2), strides=(2, 2))
                b = make_call(
                    "pad", [a], pad_before=(0, 1, 0, 0), pad_after=(0, 0, 1, 0), value=2.0
                )
                c = make_call(
                    "slice", [b], begin=(0, 0, 0, 0), end=(1, 5, 5, 2), strides=(1, 2, 2, 1)
                )
                d = make_call("reshape", [c], shape=(1, 18))
                e = make_call("dense", [d, const(weight.T), const(np.ones(5))])
                gv = make_call("softmax", [e])
                R.output(gv)
            return gv

    check(Before, Expected)


def test_what_has_no_counterpart_stays() -> None:
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((1, 8, 8, 2), "float32")) -> R.Tensor((1, 16, 16, 2), "float32"):
            with R.dataflow():
                a = R.image.resize2d(x, (16, 16), layout="NHWC", method="linear")
                b = R.nn.softmax(a, axis=1)
                gv = R.cumsum(b, axis=1)
                R.output(gv)
            return gv

    after = SelectOperators()(Before)
    assert [(d.join, d.reason) for d in decisions(after)] == [
        ("lv", "its method is linear, not nearest_neighbor"),
        ("lv1", "its axis 1 is not the last of 4"),
        ("gv", "the operator set has no cumsum"),
    ]
    tvm.ir.assert_structural_equal(forget(after, ["SelectOperators"]), Before)


@pytest.mark.parametrize(
    ("mode", "rounding", "expected"),
    [
        ("asymmetric", "floor", ("asymmetric", "floor")),
        ("half_pixel", "round_prefer_ceil", ("half_pixel", "round_half_up")),
        ("align_corners", "round_prefer_ceil", ("align_corners", "round_half_up")),
        ("half_pixel", "round", ("half_pixel", "round_half_down")),
        ("half_pixel", "round_prefer_floor", ("half_pixel", "round_half_down")),
    ],
)
def test_nearest_resize(mode, rounding, expected) -> None:
    x = relax.Var("x", relax.TensorType((1, 5, 5, 2), "float32"))
    call = relax.op.image.resize2d(
        x,
        (7, 9),
        layout="NHWC",
        method="nearest_neighbor",
        coordinate_transformation_mode=mode,
        rounding_method=rounding,
    )
    before = module_of(x, call)
    after = SelectOperators()(before)
    (binding,) = after["main"].body.blocks[0].bindings
    attrs = attributes_of(binding.value)
    assert (attrs["coordinates"], attrs["rounding"]) == expected
    data = rng.normal(size=(1, 5, 5, 2)).astype("float32")
    np.testing.assert_array_equal(run(after, data), run(before, data))


def hard_swish(x):
    bounded = relax.op.clip(relax.op.add(x, const(3.0)), 0, 6)
    return relax.op.divide(relax.op.multiply(x, bounded), const(6.0))


def hard_swish_by_sixths(x):
    scaled = relax.op.multiply(x, const(1 / 6))
    return relax.op.multiply(x, relax.op.clip(relax.op.add(scaled, const(0.5)), 0, 1))


def elu(x):
    negative = relax.op.minimum(x, const(0.0))
    return relax.op.add(
        relax.op.nn.relu(x),
        relax.op.multiply(relax.op.subtract(relax.op.exp(negative), const(1.0)), const(0.7)),
    )


def gelu(x):
    half = relax.op.multiply(x, const(0.5))
    error = relax.op.erf(relax.op.divide(x, const(np.sqrt(2.0))))
    return relax.op.multiply(half, relax.op.add(error, const(1.0)))


@pytest.mark.parametrize(
    ("spelling", "function"),
    [
        (lambda x: relax.op.multiply(x, relax.op.sigmoid(x)), "silu"),
        (hard_swish, "hard_swish"),
        (hard_swish_by_sixths, "hard_swish"),
        (elu, "elu"),
        (gelu, "gelu"),
        (
            lambda x: relax.op.clip(
                relax.op.add(relax.op.multiply(x, const(0.2)), const(0.5)), 0, 1
            ),
            "hard_sigmoid",
        ),
    ],
)
def test_activation_functions_are_known_in_every_spelling(spelling, function) -> None:
    x = relax.Var("x", relax.TensorType((1, 4, 4, 2), "float32"))
    before = module_of(x, spelling(x))
    after = SelectOperators()(before)
    (binding,) = after["main"].body.blocks[0].bindings
    assert binding.value.op.name == "dero.unary"
    assert attributes_of(binding.value)["function"] == function
    data = rng.normal(size=(1, 4, 4, 2)).astype("float32") * 4
    np.testing.assert_allclose(run(after, data), run(before, data), rtol=1e-5, atol=1e-6)


def test_a_function_that_is_almost_known_is_not_taken_for_it() -> None:
    x = relax.Var("x", relax.TensorType((1, 4), "float32"))
    almost = relax.op.multiply(x, relax.op.sigmoid(relax.op.multiply(x, const(1.001))))
    after = SelectOperators()(module_of(x, almost))
    names = [binding.value.op.name for binding in after["main"].body.blocks[0].bindings]
    assert names == ["dero.multiply", "dero.unary", "dero.multiply"]


def module_of(param, expr) -> tvm.IRModule:
    builder = relax.BlockBuilder()
    with builder.function("main", [param]):
        with builder.dataflow():
            output = builder.emit_output(expr)
        builder.emit_func_output(output)
    return builder.finalize()


def run(module: tvm.IRModule, data: np.ndarray) -> np.ndarray:
    machine = relax.VirtualMachine(tvm.compile(module, "llvm"), tvm.cpu())
    return machine["main"](tvm.runtime.tensor(data)).numpy()


def test_dequantized_scalars_are_constants() -> None:
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((1, 4), "float32")) -> R.Tensor((1, 4), "float32"):
            with R.dataflow():
                d = R.dequantize(
                    R.const(90, "int8"), R.const(0.1, "float32"), R.const(0, "int8"), axis=0
                )
                gv = R.multiply(x, d)
                R.output(gv)
            return gv

    after = SelectOperators()(Before)
    names = [str(b.value.op.name) for b in after["main"].body.blocks[0].bindings]
    assert names[-1] == "dero.multiply"


def tensor(*shape, dtype="float32"):
    return relax.Var("x", relax.TensorType(shape, dtype))


def resized(x, rounding):
    return relax.op.image.resize2d(
        x,
        (9, 9),
        layout="NHWC",
        method="nearest_neighbor",
        coordinate_transformation_mode="align_corners",
        rounding_method=rounding,
    )


@pytest.mark.parametrize(
    ("x", "call", "reason"),
    [
        (tensor(1, 4, 8), lambda x: relax.op.nn.softmax(x, axis=1), "axis 1 is not the last of 3"),
        (tensor(3, 4), lambda x: relax.op.matmul(x, relax.op.permute_dims(x)), "is computed"),
        (tensor(4), lambda x: relax.op.matmul(x, const(np.ones((4, 2)))), "have 1 and 2 axes"),
        (tensor(2, 3), lambda x: relax.op.sin(x), "the operator set has no sin"),
        (tensor(2, dtype="int32"), relax.op.abs, "an operand is int32"),
        (tensor(2, dtype="int8"), relax.op.abs, "it is written on int8"),
        (tensor(*[1] * 6), relax.op.abs, "an operand has 6 axes"),
        (tensor(1, 6, 6, 3), lambda x: relax.op.nn.max_pool2d(x, 2), "its layout is NCHW"),
        (tensor(4), lambda x: relax.op.nn.pad(x, (1, 1), "reflect"), r"elements \(reflect\)"),
        (tensor(4), lambda x: relax.op.strided_slice(x, [0], [3], [0], [-1]), "axis 0 is -1"),
        (tensor(1, 5, 5, 2), lambda x: resized(x, "round"), "rounded to the even one"),
        (tensor(1, 5, 5, 2), lambda x: resized(x, "up"), "its rounding is up"),
        (
            tensor(2),
            lambda x: relax.op.quantize(x, const(0.1), relax.const(3, "uint8"), 0, "uint8"),
            "its result is uint8",
        ),
        (
            tensor(2),
            lambda x: relax.op.quantize(x, const([0.1, 0.2]), const([0, 1], "int8"), 0, "int8"),
            "it has 2 scales, not one",
        ),
    ],
)
def test_what_is_left_to_tvm_has_a_reason(x, call, reason) -> None:
    after = SelectOperators()(module_of(x, call(x)))
    (found,) = decisions(after)
    assert (found.pass_name, found.join, found.action) == ("SelectOperators", "gv", "left to TVM")
    assert re.search(reason, found.reason), found.reason
    tvm.ir.assert_structural_equal(SelectOperators()(after), after)
