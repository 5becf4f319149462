"""Small TFLite networks with residuals, built here, that use what real int8 networks use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tests.models.tflite_builder import TFLiteBuilder

SCALE = 0.05  # of every activation of int8; zero points differ
INT16_STEPS = 256  # of int16 in one of int8
SHAPE = (1, 12, 10, 3)


class _Layers:
    """Adds layers with random weights; outputs of integers spread over the whole range."""

    def __init__(self, dtype: str) -> None:
        self.builder = TFLiteBuilder()
        self.dtype = dtype
        self.rng = np.random.default_rng(11)
        self.shapes: dict[int, tuple[int, ...]] = {}
        self.zero_points: dict[int, int] = {}
        self.data = self._activation("data", SHAPE, is_input=True)

    def conv(
        self, x: int, channels: int, kernel: int, *, stride: int = 1, activation: str = "NONE"
    ) -> int:
        batch, height, width, depth = self.shapes[x]
        weight = (channels, kernel, kernel, depth)
        shape = (batch, -(-height // stride), -(-width // stride), channels)
        return self._weighted("CONV_2D", x, weight, 0, shape, stride, activation, "SAME")

    def depthwise(self, x: int, kernel: int, *, padding: str, activation: str) -> int:
        batch, height, width, depth = self.shapes[x]
        lost = kernel - 1 if padding == "VALID" else 0
        shape = (batch, height - lost, width - lost, depth)
        weight = (1, kernel, kernel, depth)
        return self._weighted("DEPTHWISE_CONV_2D", x, weight, 3, shape, 1, activation, padding)

    def add(self, a: int, b: int, activation: str = "NONE") -> int:
        out = self._activation("add", self.shapes[a])
        self.builder.operator("ADD", [a, b], [out], fused_activation_function=activation)
        return out

    def pad(self, x: int, border: int) -> int:
        batch, height, width, depth = self.shapes[x]
        sides = np.array([[0, 0], [border, border], [border, border], [0, 0]], np.int32)
        out = self._like(x, "pad", (batch, height + 2 * border, width + 2 * border, depth))
        self.builder.operator("PAD", [x, self.builder.constant("sides", sides)], [out])
        return out

    def mean(self, x: int) -> int:
        out = self._activation("mean", (1, self.shapes[x][-1]))
        axes = self.builder.constant("axes", np.array([1, 2], np.int32))
        self.builder.operator("MEAN", [x, axes], [out], keep_dims=False)
        return out

    def concat(self, tensors: Sequence[int]) -> int:
        depth = sum(self.shapes[x][-1] for x in tensors)
        # LiteRT wants one scale and zero point for all.
        out = self._like(tensors[0], "concat", (*self.shapes[tensors[0]][:-1], depth))
        self.builder.operator("CONCATENATION", list(tensors), [out], axis=3)
        return out

    def max_pool(self, x: int) -> int:
        batch, height, width, depth = self.shapes[x]
        out = self._like(x, "pool", (batch, height // 2, width // 2, depth))
        size = {"filter_height": 2, "filter_width": 2, "stride_h": 2, "stride_w": 2}
        self.builder.operator("MAX_POOL_2D", [x], [out], version=2, **size)
        return out

    def softmax(self, x: int) -> int:
        out = self.builder.tensor("softmax", self.shapes[x], self.dtype, **self._unit(-128))
        self.builder.operator("SOFTMAX", [x], [out])
        return out

    def elementwise(self, code: str, *operands: int, **options: Any) -> int:
        """An operator whose result has the shape of its first operand."""
        x = operands[0]
        if code in ("LOGISTIC", "TANH"):
            out = self.builder.tensor(
                f"{code}_{len(self.shapes)}", self.shapes[x], self.dtype, **self._unit(0)
            )
            self.shapes[out], self.zero_points[out] = self.shapes[x], 0
        else:
            out = self._activation(code, self.shapes[x])
        self.builder.operator(code, list(operands), [out], **options)
        return out

    def transposed(self, x: int, channels: int, kernel: int, stride: int) -> int:
        batch, height, width, depth = self.shapes[x]
        shape = (batch, height * stride, width * stride, channels)
        weight = (channels, kernel, kernel, depth)
        return self._weighted("TRANSPOSE_CONV", x, weight, 0, shape, stride, "NONE", "SAME")

    def average_pool(self, x: int) -> int:
        batch, height, width, depth = self.shapes[x]
        out = self._like(x, "average", (batch, height // 2, width // 2, depth))
        size = {"filter_height": 2, "filter_width": 2, "stride_h": 2, "stride_w": 2}
        self.builder.operator("AVERAGE_POOL_2D", [x], [out], version=2, **size)
        return out

    def _unit(self, zero_point: int) -> dict:
        """The quantization of results from 0 or -1 to 1."""
        if self.dtype == "int16":
            return {"scale": 1 / 32768, "zero_point": 0}
        return self._quantization(1 / 256 if zero_point else 1 / 128, zero_point)

    def _weighted(
        self,
        code: str,
        x: int,
        weight_shape: tuple[int, ...],
        axis: int,
        shape: tuple[int, ...],
        stride: int,
        activation: str,
        padding: str,
    ) -> int:
        units = weight_shape[axis]
        fan_in = int(np.prod(weight_shape)) // units
        if self.dtype != "float32":
            scale = self.rng.uniform(0.8, 1.2, units) / (108 * fan_in**0.5)
            weight = self.rng.integers(-127, 128, weight_shape).astype(np.int8)
            kind, finer = (np.int32, 1) if self.dtype == "int8" else (np.int64, INT16_STEPS)
            bias = self.rng.integers(-9000 * finer, 9000 * finer, units).astype(kind)
            extra = {"scale": list(scale), "axis": axis}
            bias_extra = {"scale": list(SCALE / finer * scale), "axis": 0}
        else:
            weight = self.rng.standard_normal(weight_shape).astype(np.float32) / fan_in**0.5
            bias = self.rng.standard_normal(units).astype(np.float32)
            extra, bias_extra = {}, {}
        name = f"{code}_{len(self.shapes)}"
        w = self.builder.constant(f"{name}_weight", weight, **extra)
        b = self.builder.constant(f"{name}_bias", bias, **bias_extra)
        out = self._activation(name, shape)
        options = {"padding": padding, "stride_h": stride, "stride_w": stride}
        if code == "TRANSPOSE_CONV":
            size = self.builder.constant(f"{name}_size", np.array(shape, np.int32))
            self.builder.operator(code, [size, w, x, b], [out], version=3, **options)
        else:
            options["fused_activation_function"] = activation
            self.builder.operator(code, [x, w, b], [out], **options)
        return out

    def _activation(self, name: str, shape: tuple[int, ...], *, is_input: bool = False) -> int:
        zero_point = int(self.rng.integers(-20, 20)) if self.dtype != "int16" else 0
        make = self.builder.input if is_input else self.builder.tensor
        name = f"{name}_{len(self.shapes)}" if self.shapes else name
        index = make(name, shape, self.dtype, **self._quantization(SCALE, zero_point))
        self.shapes[index] = shape
        self.zero_points[index] = zero_point
        return index

    def _like(self, x: int, name: str, shape: tuple[int, ...]) -> int:
        quantization = self._quantization(SCALE, self.zero_points[x])
        index = self.builder.tensor(f"{name}_{len(self.shapes)}", shape, self.dtype, **quantization)
        self.shapes[index] = shape
        self.zero_points[index] = self.zero_points[x]
        return index

    def _quantization(self, scale: float, zero_point: int) -> dict:
        if self.dtype == "int16":
            return {"scale": scale / INT16_STEPS, "zero_point": 0}
        return {"scale": scale, "zero_point": zero_point} if self.dtype == "int8" else {}


def residual_network(dtype: str) -> bytes:
    """Two residual blocks, one with a projection, an inverted residual with PAD, a classifier.

    No fully connected layer: LiteRT and TensorFlow Lite Micro disagree about it.
    """
    net = _Layers(dtype)
    x = net.conv(net.data, 8, 3, activation="RELU")
    y = net.conv(x, 8, 3, activation="RELU")
    x = net.add(x, net.conv(y, 8, 3), "RELU")
    y = net.conv(x, 16, 3, stride=2, activation="RELU6")
    x = net.add(net.conv(x, 16, 1, stride=2), net.conv(y, 16, 3), "RELU")
    y = net.depthwise(
        net.pad(net.conv(x, 48, 1, activation="RELU6"), 2),
        5,
        padding="VALID",
        activation="RELU6",
    )
    x = net.add(net.conv(y, 16, 1), x)
    x = net.concat([net.max_pool(x), net.max_pool(x)])
    x = net.conv(x, 10, 1)
    return net.builder.build([net.softmax(net.mean(x))])


def gated_network(dtype: str) -> bytes:
    """Down and up again, a skip, a gate and two heads: the operators of a small audio network."""
    net = _Layers(dtype)
    skip = net.conv(net.data, 8, 3, activation="RELU6")
    x = net.elementwise("LEAKY_RELU", net.conv(skip, 12, 3, stride=2), alpha=0.3)
    x = net.depthwise(x, 3, padding="SAME", activation="NONE")
    x = net.transposed(x, 8, 3, 2)
    x = net.elementwise("SUB", x, skip)
    gate = net.elementwise("LOGISTIC", net.conv(x, 8, 1))
    x = net.elementwise("MUL", x, gate)
    tanh = net.elementwise("TANH", net.conv(x, 4, 1))
    x = net.average_pool(net.elementwise("RELU", x))
    x = net.softmax(net.mean(net.conv(net.pad(x, 1), 6, 3)))
    return net.builder.build([x, tanh])
