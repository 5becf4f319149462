"""Elementwise kernels of one operand: float functions against ONNX Runtime, tables by NumPy."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

from relax_passes.operators import OperatorClass, TensorSpec
from relax_passes.operators.unary import FUNCTIONS
from tests.compiled.operator_checks import check_kernel
from tests.compiled.row_kernel_runner import (
    RowKernel,
    assert_in_place,
    assert_reads_only_needed_rows,
)

# Our name: ONNX operator, its attributes, our attributes.
ONNX = {
    "relu": ("Relu", {}, {}),
    "leaky_relu": ("LeakyRelu", {"alpha": 0.3}, {"alpha": 0.3}),
    "sigmoid": ("Sigmoid", {}, {}),
    "tanh": ("Tanh", {}, {}),
    "hard_sigmoid": ("HardSigmoid", {"alpha": 0.3, "beta": 0.4}, {"alpha": 0.3, "beta": 0.4}),
    "hard_swish": ("HardSwish", {}, {}),
    "gelu": ("Gelu", {}, {}),
    "gelu_tanh": ("Gelu", {"approximate": "tanh"}, {}),
    "elu": ("Elu", {"alpha": 0.7}, {"alpha": 0.7}),
    "exp": ("Exp", {}, {}),
    "log": ("Log", {}, {}),
    "sqrt": ("Sqrt", {}, {}),
    "abs": ("Abs", {}, {}),
    "negative": ("Neg", {}, {}),
    "floor": ("Floor", {}, {}),
    "ceil": ("Ceil", {}, {}),
    "round": ("Round", {}, {}),
    "erf": ("Erf", {}, {}),
    "sin": ("Sin", {}, {}),
    "cos": ("Cos", {}, {}),
    **{
        function: (function.capitalize(), {}, {})
        for function in "tan asin acos atan sinh cosh asinh acosh atanh".split()
    },
    "sign": ("Sign", {}, {}),
}
DOMAINS = {
    **dict.fromkeys(("asin", "acos", "atanh"), lambda x: np.sin(x) * np.float32(0.99)),
    "acosh": lambda x: 1 + np.abs(x),
    **dict.fromkeys(("sinh", "cosh"), lambda x: np.clip(x, -50, 50)),
}
NUMPY = {
    "silu": lambda x: x / (1 + np.exp(-x.astype(np.float64))),
    "rsqrt": lambda x: 1 / np.sqrt(x.astype(np.float64)),
    "clip": lambda x: x,
    "trunc": np.trunc,
}


def onnxruntime_result(operator, attrs, data):
    node = helper.make_node(operator, ["x"], ["y"], **attrs)
    graph = helper.make_graph(
        [node],
        "unary",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, data.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, data.shape)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(None, {"x": data})[0]


def test_every_function_has_an_oracle():
    assert set(ONNX) | set(NUMPY) == set(FUNCTIONS)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_function(function):
    data = np.random.default_rng(3).normal(size=(2, 3, 5, 7)).astype(np.float32) * 4
    data[0, 0] = np.array([-100.0, -2.5, -0.5, 0.0, 0.5, 1.5, 50.0])
    if function in ("log", "sqrt", "rsqrt"):
        data = np.abs(data) + np.float32(0.01)
    if function in DOMAINS:
        data = DOMAINS[function](data)
    attrs = {}
    if function in ONNX:
        operator, options, attrs = ONNX[function]
        expected = onnxruntime_result(operator, options, data)
    else:
        with np.errstate(over="ignore"):
            expected = NUMPY[function](data)
    kernel = RowKernel("unary", [TensorSpec(data.shape, "float32")], function=function, **attrs)
    np.testing.assert_allclose(kernel.run_rows(data), expected, rtol=1e-5, atol=1e-6)
    bounded = RowKernel(
        "unary",
        [TensorSpec(data.shape, "float32")],
        function=function,
        minimum=-0.25,
        maximum=1.5,
        **attrs,
    )
    np.testing.assert_allclose(
        bounded.run_rows(data), np.clip(expected, -0.25, 1.5), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("dtype", ["int8", "float32"])
@pytest.mark.parametrize("shape", [(), (9,), (3, 4), (2, 3, 4), (2, 3, 4, 5)])
def test_lookup(shape, dtype):
    rng = np.random.default_rng(4)
    data = rng.integers(-128, 128, shape).astype(np.int8)
    table = rng.integers(-128, 128, 256).astype(dtype)
    kernel = RowKernel("lookup", [TensorSpec(shape, "int8"), TensorSpec((256,), dtype)])
    np.testing.assert_array_equal(kernel.run_rows(data, table), table[data.astype(int) + 128])


def test_lookup_of_every_value():
    data = np.arange(-128, 128).astype(np.int8)
    table = np.random.default_rng(0).normal(size=256).astype(np.float32)
    kernel = RowKernel("lookup", [TensorSpec((256,), "int8"), TensorSpec((256,), "float32")])
    np.testing.assert_array_equal(kernel.run_rows(data, table), table)


def test_lookup_rows_strides_and_in_place():
    rng = np.random.default_rng(4)
    data = rng.integers(-128, 128, (2, 3, 4, 5)).astype(np.int8)
    table = rng.integers(-128, 128, 256).astype(np.int8)
    spec, table_spec = TensorSpec(data.shape, "int8", 7), TensorSpec((256,), "int8")
    for out_stride in (5, 7, 9):
        kernel = RowKernel("lookup", [spec, table_spec], out_pixel_stride=out_stride)
        np.testing.assert_array_equal(kernel.run_rows(data, table), table[data.astype(int) + 128])
        assert_reads_only_needed_rows(kernel, [data, table])
        if out_stride == 7:
            assert_in_place(kernel, [data, table])
        else:
            assert kernel.operator.in_place_arguments(kernel.signature) == ()
    dense = RowKernel("lookup", [TensorSpec(data.shape, "int8"), table_spec])
    assert_in_place(dense, [data, table])
    wider = RowKernel("lookup", [spec, TensorSpec((256,), "float32")])
    assert wider.operator.in_place_arguments(wider.signature) == ()


def test_unary_rows_strides_and_in_place():
    data = np.random.default_rng(4).normal(size=(2, 3, 4, 5)).astype(np.float32)
    for stride in (0, 7):
        spec = TensorSpec(data.shape, "float32", stride)
        kernel = RowKernel("unary", [spec], out_pixel_stride=stride, function="elu", alpha=0.5)
        assert_reads_only_needed_rows(kernel, [data])
        assert_in_place(kernel, [data])
        assert kernel.operator.operator_class(kernel.signature) is OperatorClass.ELEMENTWISE


def test_errors():
    with pytest.raises(ValueError, match="function must be one of .*, got 'sine'"):
        RowKernel("unary", [TensorSpec((2,), "float32")], function="sine")
    with pytest.raises(ValueError, match="takes one tensor of float32"):
        RowKernel("unary", [TensorSpec((2,), "int8")], function="relu")
    with pytest.raises(ValueError, match="256 entries"):
        RowKernel("lookup", [TensorSpec((2,), "int8"), TensorSpec((255,), "int8")])
    with pytest.raises(ValueError, match="int8 data"):
        RowKernel("lookup", [TensorSpec((2,), "float32"), TensorSpec((256,), "int8")])


@pytest.mark.parametrize("slopes", [(1,), (5,), (3, 1, 1), (3, 4, 5)])
def test_prelu_of_real_numbers(slopes):
    rng = np.random.default_rng(6)
    data, slope = (rng.normal(size=shape).astype(np.float32) for shape in ((1, 3, 4, 5), slopes))
    expected = np.where(data >= 0, data, data * slope)
    check_kernel("prelu", [data, slope], expected, gaps=[1], out_gap=1)
