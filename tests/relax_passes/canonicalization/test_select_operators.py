from __future__ import annotations

import re

import numpy as np
import pytest
import tvm
from tvm import relax
from tvm.relax import op
from tvm.script import ir as I
from tvm.script import relax as R

from relax_passes.canonicalization.select_operators import LEFT_TO_TVM, NAME, SelectOperators
from relax_passes.ir.decisions import decisions
from relax_passes.operators import attributes_of, make_call
from tests.relax_passes.network_parts import (
    assert_left_alone,
    assert_rewritten,
    network,
    run,
    without_findings,
)

rng = np.random.default_rng(0)
WEIGHT = rng.normal(size=(4, 3, 3, 3)).astype("float32")
BIAS = rng.normal(size=(1, 1, 1, 4)).astype("float32")
MATRIX = rng.normal(size=(18, 5)).astype("float32")
NHWC = {"data_layout": "NHWC", "kernel_layout": "OHWI", "out_layout": "NHWC"}


def const(array, dtype="float32"):
    return relax.const(np.ascontiguousarray(array, dtype))


def test_bias_and_clamp_are_fused() -> None:
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((1, 8, 8, 3), "float32")) -> R.Tensor((1, 6, 6, 4), "float32"):
            with R.dataflow():
                a = op.nn.conv2d(x, const(WEIGHT), **NHWC)
                b = R.add(const(BIAS), a)
                c = R.clip(b, 0.0, 6.0)
                d = op.nn.conv2d(x, const(WEIGHT), **NHWC)
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

    assert_rewritten(SelectOperators(), Before, Expected)


def two_readers(emit, x):
    a = emit(op.nn.conv2d(x, const(WEIGHT), **NHWC))
    return op.multiply(a, op.nn.relu(a))


def not_fused(emit, x):
    a = emit(make_call("conv2d", [x, const(WEIGHT), const(np.zeros(4))]))
    return make_call("multiply", [a, emit(make_call("unary", [a], function="relu"))])


def layers_and_moves(emit, x):
    a = op.nn.avg_pool2d(x, pool_size=[2, 2], strides=[2, 2], layout="NHWC")
    b = op.nn.pad(a, (0, 0, 1, 0, 0, 1, 0, 0), pad_value=2.0)
    c = op.strided_slice(b, axes=[1, 2], begin=[0, -5], end=[5, 100], strides=[2, 2])
    e = op.matmul(op.reshape(c, (1, 18)), const(MATRIX))
    return op.nn.softmax(op.add(e, const(np.ones(5))), axis=-1)


def counterparts(emit, x):
    a = emit(make_call("pool2d", [x], kind="average", pool_size=(2, 2), strides=(2, 2)))
    frame = {"pad_before": (0, 1, 0, 0), "pad_after": (0, 0, 1, 0)}
    b = emit(make_call("pad", [a], value=2.0, **frame))
    end, strides = (1, 5, 5, 2), (1, 2, 2, 1)
    c = emit(make_call("slice", [b], begin=(0, 0, 0, 0), end=end, strides=strides))
    d = emit(make_call("reshape", [c], shape=(1, 18)))
    return make_call("softmax", [emit(make_call("dense", [d, const(MATRIX.T), const(np.ones(5))]))])


@pytest.mark.parametrize(
    ("shape", "before", "expected"),
    [((1, 8, 8, 3), two_readers, not_fused), ((1, 8, 8, 2), layers_and_moves, counterparts)],
)
def test_selects(shape, before, expected) -> None:
    assert_rewritten(SelectOperators(), network(before, shape), network(expected, shape))


def bicubic(emit, x):
    a = op.image.resize2d(x, (16, 16), layout="NHWC", method="cubic")
    return op.tril(op.nn.softmax(a, axis=1))


def nearest(size, mode, rounding):
    return lambda emit, x: op.image.resize2d(
        x,
        size,
        layout="NHWC",
        method="nearest_neighbor",
        coordinate_transformation_mode=mode,
        rounding_method=rounding,
    )


def test_what_has_no_counterpart_stays() -> None:
    before = network(bicubic, (1, 5, 5, 2))
    after = SelectOperators()(before)
    assert [(d.join, d.reason) for d in decisions(after)] == [
        ("lv", "its method is cubic: kernels copy the nearest pixel or mix two by two"),
        ("lv1", "its axis 1 is not the last of 4"),
        ("gv", "the operator set has no tril"),
    ]
    assert_left_alone(SelectOperators(), after)
    tvm.ir.assert_structural_equal(without_findings(after), before)


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
    before = network(nearest((7, 9), mode, rounding), (1, 5, 5, 2))
    after = SelectOperators()(before)
    attrs = attributes_of(only_call(after))
    assert (attrs["coordinates"], attrs["rounding"]) == expected
    data = rng.normal(size=(1, 5, 5, 2)).astype("float32")
    np.testing.assert_array_equal(run(after, [data])[0], run(before, [data])[0])


def only_call(module):
    (binding,) = module["main"].body.blocks[0].bindings
    return binding.value


def hard_swish(x):
    bounded = op.clip(op.add(x, const(3.0)), 0, 6)
    return op.divide(op.multiply(x, bounded), const(6.0))


def hard_swish_by_sixths(x):
    scaled = op.multiply(x, const(1 / 6))
    return op.multiply(x, op.clip(op.add(scaled, const(0.5)), 0, 1))


def elu(x):
    negative = op.minimum(x, const(0.0))
    return op.add(
        op.nn.relu(x),
        op.multiply(op.subtract(op.exp(negative), const(1.0)), const(0.7)),
    )


def gelu(x):
    half = op.multiply(x, const(0.5))
    error = op.erf(op.divide(x, const(np.sqrt(2.0))))
    return op.multiply(half, op.add(error, const(1.0)))


@pytest.mark.parametrize(
    ("spelling", "function"),
    [
        (lambda x: op.multiply(x, op.sigmoid(x)), "silu"),
        (hard_swish, "hard_swish"),
        (hard_swish_by_sixths, "hard_swish"),
        (elu, "elu"),
        (gelu, "gelu"),
        (
            lambda x: op.clip(op.add(op.multiply(x, const(0.2)), const(0.5)), 0, 1),
            "hard_sigmoid",
        ),
    ],
)
def test_activation_functions_are_known_in_every_spelling(spelling, function) -> None:
    before = network(lambda emit, x: spelling(x), (1, 4, 4, 2))
    after = SelectOperators()(before)
    assert only_call(after).op.name == "dero.unary"
    assert attributes_of(only_call(after))["function"] == function
    data = rng.normal(size=(1, 4, 4, 2)).astype("float32") * 4
    np.testing.assert_allclose(run(after, [data])[0], run(before, [data])[0], rtol=1e-5, atol=1e-6)


def almost_silu(x):
    return op.multiply(x, op.sigmoid(op.multiply(x, const(1.001))))


def dequantized_scalar(x):
    d = op.dequantize(relax.const(90, "int8"), const(0.1), relax.const(0, "int8"), axis=0)
    return op.multiply(x, d)


@pytest.mark.parametrize(
    ("build", "names"),
    [(almost_silu, ["multiply", "unary", "multiply"]), (dequantized_scalar, ["multiply"])],
)
def test_what_is_selected(build, names) -> None:
    after = SelectOperators()(network(lambda emit, x: build(x), (1, 4)))
    calls = [binding.value.op.name for binding in after["main"].body.blocks[0].bindings]
    assert calls == [f"dero.{name}" for name in names]


def resized(rounding):
    return nearest((9, 9), "align_corners", rounding)


def quantize(*parameters):
    return lambda emit, x: op.quantize(x, *parameters)


@pytest.mark.parametrize(
    ("shape", "dtype", "build", "reason"),
    [
        (
            (1, 4, 8),
            "float32",
            lambda _, x: op.nn.softmax(x, axis=1),
            "axis 1 is not the last of 3",
        ),
        ((3, 4), "float32", lambda _, x: op.matmul(x, op.permute_dims(x)), "is computed"),
        ((4,), "float32", lambda _, x: op.matmul(x, const(np.ones((4, 2)))), "have 1 and 2 axes"),
        ((2, 3), "float32", lambda _, x: op.isnan(x), "the operator set has no isnan"),
        ((2,), "int32", lambda _, x: op.abs(x), "an operand is int32"),
        ((2,), "int8", lambda _, x: op.abs(x), "it is written on int8"),
        ((1,) * 6, "float32", lambda _, x: op.abs(x), "an operand has 6 axes"),
        ((1, 6, 6, 3), "float32", lambda _, x: op.nn.max_pool2d(x, 2), "its layout is NCHW"),
        ((4,), "float32", lambda _, x: op.nn.pad(x, (1, 1), "reflect"), r"elements \(reflect\)"),
        ((4,), "float32", lambda _, x: op.strided_slice(x, [0], [3], [0], [-1]), "axis 0 is -1"),
        ((1, 5, 5, 2), "float32", resized("round"), "rounded to the even one"),
        ((1, 5, 5, 2), "float32", resized("up"), "its rounding is up"),
        (
            (2,),
            "float32",
            quantize(const(0.1), relax.const(3, "uint8"), 0, "uint8"),
            "its result is uint8",
        ),
        (
            (2,),
            "float32",
            quantize(const([0.1, 0.2]), const([0, 1], "int8"), 0, "int8"),
            "it has 2 scales, not one",
        ),
    ],
)
def test_what_is_left_to_tvm_has_a_reason(shape, dtype, build, reason) -> None:
    after = SelectOperators()(network(build, shape, dtype=dtype))
    (found,) = decisions(after)
    assert (found.pass_name, found.join, found.action) == (NAME, "gv", LEFT_TO_TVM)
    assert re.search(reason, found.reason), found.reason
    assert_left_alone(SelectOperators(), after)
