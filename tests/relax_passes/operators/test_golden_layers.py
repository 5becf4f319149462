"""Every layer of real int8 networks, alone, against the bytes a microcontroller computed.

Each layer gets the recorded output of the layer before it, so an error shows where it is made.
The attributes come from the scales in the file through `quantized`, as in a compiled model.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tflite

from relax_passes.operators import TensorSpec, quantized, tables
from tests.compiled.row_kernel_runner import RowKernel

NETWORKS = {
    "ad": "mlperf_tiny/ad01_int8.tflite",
    "kws": "mlperf_tiny/kws_ref_model.tflite",
    "resnet8": "mlperf_tiny/pretrainedResnet_quant.tflite",
    "str_ww": "mlperf_tiny/str_ww_ref_model.tflite",
    "te_vww": "tinyengine/vww.tflite",
}
BOUNDS = {0: (None, None), 1: (0.0, None), 3: (0.0, 6.0)}  # by the schema's activation
MOVES_ONLY = {"RESHAPE", "PAD", "TRANSPOSE", "DEQUANTIZE"}
LARGEST_LAYER = 1_500_000  # multiply-accumulates; the larger ones repeat the same arithmetic


class Graph:
    """A TFLite file's tensors and operators."""

    def __init__(self, content: bytes, recorded: Any) -> None:
        self.model = tflite.Model.GetRootAs(content, 0)
        self.graph = self.model.Subgraphs(0)
        self.recorded = recorded

    def operators(self):
        for index in range(self.graph.OperatorsLength()):
            operator = self.graph.Operators(index)
            code = self.model.OperatorCodes(operator.OpcodeIndex())
            number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
            yield tflite.opcode2name(number), operator

    def value(self, index: int) -> np.ndarray:
        """A constant of the file, or the recorded value of an activation."""
        tensor = self.graph.Tensors(index)
        data = self.model.Buffers(tensor.Buffer()).DataAsNumpy()
        if isinstance(data, int):
            return self.recorded[f"t{index}"]
        dtype = np.int8 if tensor.Type() == tflite.TensorType.INT8 else np.int32
        return np.frombuffer(data.tobytes(), dtype).reshape(tensor.ShapeAsNumpy())

    def is_float(self, index: int) -> bool:
        return self.graph.Tensors(index).Type() == tflite.TensorType.FLOAT32

    def scales(self, index: int) -> np.ndarray:
        return self.graph.Tensors(index).Quantization().ScaleAsNumpy()

    def scale(self, index: int) -> float:
        return float(self.scales(index)[0])

    def zero_point(self, index: int) -> int:
        return int(self.graph.Tensors(index).Quantization().ZeroPointAsNumpy()[0])


def options(operator, table):
    result = table()
    result.Init(operator.BuiltinOptions().Bytes, operator.BuiltinOptions().Pos)
    return result


def padding(opts, data, window, strides) -> tuple[int, int, int, int]:
    if opts.Padding() == tflite.Padding.VALID:
        return (0, 0, 0, 0)
    pads = []
    for axis in (0, 1):
        length = data.shape[1 + axis]
        rest = (-(-length // strides[axis]) - 1) * strides[axis] + window[axis] - length
        pads.append((max(rest, 0) // 2, max(rest, 0) - max(rest, 0) // 2))
    return (pads[0][0], pads[1][0], pads[0][1], pads[1][1])


def layer(graph: Graph, name: str, operator) -> tuple[str, list[np.ndarray], dict[str, Any]]:
    """Our operator, its arguments and its attributes."""
    inputs = [operator.Inputs(i) for i in range(operator.InputsLength())]
    out = operator.Outputs(0)
    data = graph.value(inputs[0])
    scale_in, scale_out = graph.scale(inputs[0]), graph.scale(out)
    attrs: dict[str, Any] = {
        "input_zero_point": graph.zero_point(inputs[0]),
        "output_zero_point": graph.zero_point(out),
    }

    def clamp(opts):
        bounds = BOUNDS[opts.FusedActivationFunction()]
        attrs["minimum"], attrs["maximum"] = quantized.activation_range(
            scale_out, graph.zero_point(out), *bounds
        )

    if name == "FULLY_CONNECTED":
        clamp(options(operator, tflite.FullyConnectedOptions))
        weight, bias = graph.value(inputs[1]), graph.value(inputs[2])
        factors = quantized.dense_factors(scale_in, graph.scales(inputs[1]), scale_out, len(weight))
        return "dense", [data.reshape(-1, weight.shape[1]), weight, bias, *factors], attrs
    if name in ("CONV_2D", "DEPTHWISE_CONV_2D"):
        depthwise = name == "DEPTHWISE_CONV_2D"
        table = tflite.DepthwiseConv2DOptions if depthwise else tflite.Conv2DOptions
        opts = options(operator, table)
        clamp(opts)
        weight, bias = graph.value(inputs[1]), graph.value(inputs[2])
        if depthwise:
            weight = weight.transpose(3, 1, 2, 0)
            attrs["groups"] = data.shape[3]
        attrs["strides"] = (opts.StrideH(), opts.StrideW())
        attrs["padding"] = padding(opts, data, weight.shape[1:3], attrs["strides"])
        factors = quantized.convolution_factors(
            scale_in, graph.scales(inputs[1]), scale_out, len(weight)
        )
        return "conv2d", [data, np.ascontiguousarray(weight), bias, *factors], attrs
    if name == "AVERAGE_POOL_2D":
        opts = options(operator, tflite.Pool2DOptions)
        clamp(opts)
        attrs |= {
            "kind": "average",
            "pool_size": (opts.FilterHeight(), opts.FilterWidth()),
            "strides": (opts.StrideH(), opts.StrideW()),
        }
        attrs["padding"] = padding(opts, data, attrs["pool_size"], attrs["strides"])
        return "pool2d", [data], attrs
    if name == "MEAN":
        axes = tuple(int(axis) for axis in graph.value(inputs[1]).ravel())
        count = int(np.prod([data.shape[axis] for axis in axes]))
        attrs |= {"kind": "mean", "axes": axes}
        attrs["keepdims"] = bool(options(operator, tflite.ReducerOptions).KeepDims())
        attrs["multiplier"], attrs["shift"] = quantized.mean_factors(scale_in, scale_out, count)
        return "reduce", [data], attrs
    if name == "ADD":
        clamp(options(operator, tflite.AddOptions))
        del attrs["input_zero_point"], attrs["output_zero_point"]
        attrs["zero_points"] = tuple(graph.zero_point(i) for i in (*inputs, out))
        attrs |= quantized.add_factors(scale_in, graph.scale(inputs[1]), scale_out)
        return "add", [data, graph.value(inputs[1])], attrs
    if name == "SOFTMAX":
        beta = options(operator, tflite.SoftmaxOptions).Beta()
        return "softmax", [data], quantized.softmax_factors(scale_in, beta)
    assert name == "QUANTIZE", f"no test for {name}"
    points = graph.zero_point(inputs[0]), graph.zero_point(out)
    table = tables.requantize(tables.Scales(scale_in, points[0], scale_out, points[1]))
    return "lookup", [data, table], {}


@pytest.mark.parametrize("network", sorted(NETWORKS))
def test_layers(shared, network):
    content = (shared / "models" / NETWORKS[network]).read_bytes()
    recorded = np.load(shared / "golden" / "intermediates" / f"{network}.npz")
    graph = Graph(content, recorded)
    checked = 0
    for name, operator in graph.operators():
        if name in MOVES_ONLY or graph.is_float(operator.Inputs(0)):
            continue
        ours, arrays, attrs = layer(graph, name, operator)
        kernel = RowKernel(ours, tuple(TensorSpec(a.shape, a.dtype.name) for a in arrays), **attrs)
        if kernel.operator.macs(kernel.signature) > LARGEST_LAYER:
            continue
        expected = recorded[f"t{operator.Outputs(0)}"]
        actual = kernel.run_rows(*arrays).reshape(expected.shape)
        np.testing.assert_array_equal(
            actual, expected, err_msg=f"{name} to tensor {operator.Outputs(0)}"
        )
        checked += 1
    assert checked >= 8
