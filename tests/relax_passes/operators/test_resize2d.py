"""Nearest-neighbour resizing against LiteRT and ONNX Runtime."""

from __future__ import annotations

import re

import numpy as np
import onnxruntime
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from onnx import TensorProto, helper
from tvm import relax, tirx

from relax_passes.operators import (
    OperatorClass,
    TensorSpec,
    make_call,
    operator_of,
    signature_of,
)
from relax_passes.operators.resize2d import nearest_table
from tests.compiled.operator_checks import check_kernel, random_array
from tests.models.tflite_builder import TFLiteBuilder, run_litert_reference
from tests.random_cases import cases

LITERT = {
    "asymmetric": ("floor", {}),
    "half_pixel": ("round_half_up", {"half_pixel_centers": True}),
    "align_corners": ("round_half_up", {"align_corners": True}),
}
ONNX_ROUNDING = {
    "floor": "floor",
    "ceil": "ceil",
    "round_half_down": "round_prefer_floor",
    "round_half_up": "round_prefer_ceil",
}


def litert(array, size, options):
    builder = TFLiteBuilder()
    quantization = {"scale": 0.1, "zero_point": 3} if array.dtype == np.int8 else {}
    data = builder.input("data", array.shape, str(array.dtype), **quantization)
    sizes = builder.constant("size", np.array(size, "int32"))
    out = builder.tensor("out", None, str(array.dtype), **quantization)
    builder.operator("RESIZE_NEAREST_NEIGHBOR", [data, sizes], [out], version=3, **options)
    (result,) = run_litert_reference(builder.build(outputs=[out]), {"data": array})
    return result


def onnx_runtime(array, scale, size, coordinates, rounding):
    """The result for NHWC data; `scale` is ONNX' (output per input), or None to give `size`."""
    nchw = np.ascontiguousarray(array.transpose(0, 3, 1, 2))
    shape = (*nchw.shape[:2], *size)
    by_scale = scale is not None
    sizes = (
        helper.make_tensor("scales", TensorProto.FLOAT, [4], [1, 1, *scale])
        if by_scale
        else helper.make_tensor("sizes", TensorProto.INT64, [4], shape)
    )
    node = helper.make_node(
        "Resize",
        ["x", "", "scales"] if by_scale else ["x", "", "", "sizes"],
        ["y"],
        mode="nearest",
        coordinate_transformation_mode=coordinates,
        nearest_mode=ONNX_ROUNDING[rounding],
    )
    graph = helper.make_graph(
        [node],
        "resize",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, nchw.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [sizes],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (result,) = session.run(None, {"x": nchw})
    return np.ascontiguousarray(result.transpose(0, 2, 3, 1))


images = st.tuples(st.integers(1, 2), st.integers(1, 9), st.integers(1, 9), st.integers(1, 3))
seeds = st.integers(0, 2**32 - 1)


@given(
    images,
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
    st.sampled_from(sorted(LITERT)),
    st.sampled_from(["float32", "int8"]),
    st.integers(0, 2),
    st.integers(0, 2),
    seeds,
)
@cases(25)
def test_against_litert(shape, size, coordinates, dtype, gap, out_gap, seed):
    array = random_array(np.random.default_rng(seed), shape, dtype)
    rounding, options = LITERT[coordinates]
    check_kernel("resize2d", [array], litert(array, size, options), gaps=[gap], out_gap=out_gap,
                 size=size, coordinates=coordinates, rounding=rounding, in_place=())  # fmt: skip


@given(
    images,
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
    st.sampled_from(["asymmetric", "half_pixel", "align_corners"]),
    st.sampled_from(sorted(ONNX_ROUNDING)),
    seeds,
)
@cases(25)
def test_against_onnx_runtime(shape, size, coordinates, rounding, seed):
    array = random_array(np.random.default_rng(seed), shape, "float32")
    check_kernel(
        "resize2d",
        [array],
        onnx_runtime(array, None, size, coordinates, rounding),
        size=size,
        coordinates=coordinates,
        rounding=rounding,
        arithmetic="divide",
    )


@given(
    images,
    st.tuples(st.floats(0.4, 3.5), st.floats(0.4, 3.5)),
    st.sampled_from(["asymmetric", "half_pixel"]),
    st.sampled_from(sorted(ONNX_ROUNDING)),
    seeds,
)
@cases(20)
def test_scales_that_are_no_quotient_of_the_sizes(shape, scale, coordinates, rounding, seed):
    scale = tuple(float(np.float32(factor)) for factor in scale)
    size = tuple(int(np.float32(n) * np.float32(s)) for n, s in zip(shape[1:3], scale))
    # Where no length changes, ONNX Runtime copies, whatever the scale.
    assume(min(size) >= 1 and size != shape[1:3])
    array = random_array(np.random.default_rng(seed), shape, "float32")
    check_kernel(
        "resize2d",
        [array],
        onnx_runtime(array, scale, size, coordinates, rounding),
        size=size,
        scale=tuple(1 / factor for factor in scale),
        coordinates=coordinates,
        rounding=rounding,
        arithmetic="divide",
    )


@pytest.mark.parametrize(("length", "out_length"), [(2, 82), (2, 41), (3, 123), (5, 205)])
@pytest.mark.parametrize("coordinates", sorted(LITERT))
def test_ties_fall_as_in_litert(length, out_length, coordinates):
    """Sizes for which LiteRT's float32 product lies on the wrong side of an integer."""
    array = np.arange(length, dtype="int8").reshape(1, length, 1, 1)
    rounding, options = LITERT[coordinates]
    expected = litert(array, (out_length, 1), options).ravel()
    table = nearest_table(length, out_length, None, coordinates, rounding, "multiply")
    np.testing.assert_array_equal(expected, table)


@pytest.mark.parametrize(("length", "out_length"), [(14, 2), (14, 8), (14, 19), (35, 84), (97, 14)])
@pytest.mark.parametrize("coordinates", ["asymmetric", "half_pixel"])
def test_ties_fall_as_in_onnx_runtime(length, out_length, coordinates):
    array = np.arange(length, dtype="float32").reshape(1, length, 1, 1)
    for rounding in ONNX_ROUNDING:
        expected = onnx_runtime(array, None, (out_length, 1), coordinates, rounding).ravel()
        table = nearest_table(length, out_length, None, coordinates, rounding, "divide")
        np.testing.assert_array_equal(expected, table, err_msg=rounding)


def row_source(length, out_length, coordinates="asymmetric", rounding="floor", **attrs):
    """A function from an output row, a number or TIR, to the row that it copies."""
    attrs |= {"coordinates": coordinates, "rounding": rounding, "size": (out_length, 1)}
    x = relax.Var("x", relax.TensorType((1, length, 1, 1), "int8"))
    signature = signature_of(make_call("resize2d", [x], **attrs))
    source = operator_of(signature.operator).source
    return lambda row: source(signature, (0, row, 0, 0))[1]


def computed(expression):
    """The number that an expression of constants stands for."""
    while isinstance(expression, tirx.Select):
        chosen = expression.condition
        expression = expression.true_value if chosen else expression.false_value
    return int(expression)


@given(
    st.integers(1, 64),
    st.integers(1, 160),
    st.sampled_from(["asymmetric", "half_pixel", "align_corners"]),
    st.sampled_from(sorted(ONNX_ROUNDING)),
    st.sampled_from(["multiply", "divide"]),
)
@cases(150)
def test_the_kernels_integers_reproduce_the_table(
    length, out_length, coordinates, rounding, arithmetic
):
    source = row_source(length, out_length, coordinates, rounding, arithmetic=arithmetic)
    for row in range(out_length):
        assert computed(source(tirx.const(row, "int32"))) == source(row)
    text = str(source(tirx.Var("y", "int32")))
    assert text.count("Select(") <= 2 + out_length // 16
    constants = [int(number) for number in re.findall(r"\d+", text)]
    assert (out_length + 1) * max(constants, default=0) < 2**31


@pytest.mark.parametrize("coordinates", ["asymmetric", "half_pixel", "align_corners"])
@pytest.mark.parametrize(
    ("length", "scale"), [(16_000, 2.0), (16_000, 2.718281), (8_000, 0.7331), (4_000, 1.9999)]
)
def test_long_axes(length, scale, coordinates):
    """As of sound: in little memory, few exceptions, and numbers that int32 holds."""
    rows = int(length * scale)
    source = row_source(length, rows, coordinates, scale=(1 / scale, 1.0), arithmetic="multiply")
    text = str(source(tirx.Var("y", "int32")))
    assert text.count("Select(") <= 16
    assert all(rows * int(factor) < 2**31 for factor in re.findall(r"y \* (\d+)", text))
    for row in (0, 1, rows // 3, rows // 2, rows - 2, rows - 1):
        assert computed(source(tirx.const(row, "int32"))) == source(row)


def test_upsampling_by_two_is_a_division_by_two():
    assert str(row_source(3, 6)(tirx.Var("y", "int32"))) == "T.Div(y, 2)"


def test_class_and_rows():
    array = random_array(np.random.default_rng(0), (2, 3, 4, 5), "int8")
    expected = array.repeat(2, axis=1).repeat(2, axis=2)
    kernel = check_kernel("resize2d", [array], expected, size=(6, 8))
    assert kernel.operator.operator_class(kernel.signature) is OperatorClass.RESIZE
    needed = [kernel.operator.needed_rows(kernel.signature, 0, row) for row in range(12)]
    assert needed == [(row // 2, row // 2 + 1) for row in range(12)]


@pytest.mark.parametrize(
    ("shape", "attrs", "message"),
    [
        ((2, 3), {"size": (4, 4)}, "NHWC"),
        ((1, 2, 3, 4), {"size": (4,)}, "size must be"),
        ((1, 2, 3, 4), {"size": (4, 4), "coordinates": "pytorch"}, "coordinates must be one of"),
        ((1, 2, 3, 4), {"size": (4, 4), "rounding": "nearest"}, "rounding must be one of"),
        ((1, 2, 3, 4), {"size": (4, 4), "arithmetic": "exact"}, "arithmetic must be one of"),
        ((1, 2, 3, 4), {"size": (4, 4), "scale": (0.0, 1.0)}, "scales must be positive"),
    ],
)
def test_refusals(shape, attrs, message):
    operator = operator_of("dero.resize2d")
    with pytest.raises(ValueError, match=message):
        operator.infer((TensorSpec(shape, "int8"),), {**operator.defaults, **attrs})
