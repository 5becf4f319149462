"""Builds ONNX networks layer by layer, with random weights from one seed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from . import batch_norm
from .random_images import random_images

OPSET = 18
FITTING_IMAGES = 4
_GROUPS = 4


class NetworkBuilder:
    """A float32 image network in the making; batch of one, NCHW.

    A method adds a layer to `x`, the name of a tensor, and returns the name of its output::

        net = NetworkBuilder("tiny", channels=3, resolution=32)
        x = net.conv(net.image, 16, kernel=3, activation="relu")
        model = net.build(net.dense(net.flatten(net.global_average_pool(x)), 10))

    With `batch_norms` the model has BatchNormalization nodes, as a training framework writes it;
    without, every norm is folded into the convolution before it, as a deployed network has it.
    The same seed gives the same function either way.
    """

    def __init__(
        self,
        name: str,
        *,
        channels: int = 3,
        resolution: int,
        batch_norms: bool = False,
        seed: int = 0,
    ) -> None:
        self.image = "image"
        self._name = name
        self._batch_norms = batch_norms
        self._seed = seed
        self._rng = np.random.default_rng(seed)
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []
        self._count: Counter[str] = Counter()
        self._resolution = resolution
        self._channels = {self.image: channels}
        self._input = helper.make_tensor_value_info(
            self.image, TensorProto.FLOAT, [1, channels, resolution, resolution]
        )

    def channels(self, x: str) -> int:
        """How many channels the tensor has."""
        return self._channels[x]

    def conv(
        self,
        x: str,
        channels: int,
        kernel: int,
        *,
        stride: int = 1,
        padding: int | None = None,
        depthwise: bool = False,
        normalize: bool = True,
        bias: bool = False,
        activation: str | None = None,
    ) -> str:
        """Convolution padded by `padding` or kernel // 2, batch norm, and an activation if any."""
        depth = 1 if depthwise else self.channels(x)
        deviation = math.sqrt(1 / (depth * kernel * kernel))
        parameters = {"weight": self._normal((channels, depth, kernel, kernel), deviation)}
        if bias:
            parameters["bias"] = self._normal((channels,), 0.1)
        y = self._add(
            "Conv",
            [x],
            parameters,
            channels=channels,
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=[kernel // 2 if padding is None else padding] * 4,
            group=self.channels(x) if depthwise else 1,
        )
        return self.norm(y, activation=activation) if normalize else self.activate(y, activation)

    def norm(self, x: str, *, activation: str | None = None) -> str:
        """Batch norm."""
        channels = self.channels(x)
        # Most of what enters an activation passes it: the more a random network cuts off, the
        # more a difference in one rounding grows from layer to layer.
        center = 0.0 if activation is None else 1.0
        parameters = {
            "scale": self._rng.uniform(0.5, 1.5, channels).astype(np.float32),
            "bias": self._normal((channels,), 0.5) + np.float32(center),
            "mean": np.zeros(channels, np.float32),
            "variance": np.ones(channels, np.float32),
        }
        y = self._add("BatchNormalization", [x], parameters, epsilon=batch_norm.EPSILON)
        return self.activate(y, activation)

    def data_norm(self, x: str, kind: str, *, activation: str | None = None) -> str:
        """A norm with the statistics of the data itself.

        `instance`: of each channel over all pixels; `group`: of each of four groups of channels;
        `layer`: of each pixel over its channels.
        """
        channels = self.channels(x)
        scale = self._rng.uniform(0.5, 1.5, channels).astype(np.float32)
        bias = self._normal((channels,), 0.5)
        if kind == "group":  # as PyTorch's exporter writes it for this operator set
            plain = {"scale": np.ones(_GROUPS, np.float32), "bias": np.zeros(_GROUPS, np.float32)}
            flat = self._add("Reshape", [x], {"groups": np.array([0, _GROUPS, -1])})
            flat = self._add("InstanceNormalization", [flat], plain)
            shape = self._add("Shape", [x])
            y = self._add("Reshape", [flat, shape])
            y = self._add("Mul", [y], {"scale": scale.reshape(-1, 1, 1)})
            y = self._add("Add", [y], {"bias": bias.reshape(-1, 1, 1)})
        elif kind == "layer":
            y = self._add("Transpose", [x], perm=[0, 2, 3, 1])
            y = self._add("LayerNormalization", [y], {"scale": scale, "bias": bias})
            y = self._add("Transpose", [y], perm=[0, 3, 1, 2])
        elif kind == "instance":
            y = self._add("InstanceNormalization", [x], {"scale": scale, "bias": bias})
        else:
            raise ValueError(f"norm {kind!r} is none of 'instance', 'group', 'layer'")
        return self.activate(y, activation)

    def scale(self, x: str) -> str:
        """A factor for each channel."""
        factors = self._rng.uniform(0.1, 0.5, (self.channels(x), 1, 1)).astype(np.float32)
        return self._add("Mul", [x], {"factors": factors})

    def activate(self, x: str, activation: str | None) -> str:
        """`relu`, `relu6`, `silu`, `gelu`, or None for the tensor as it is."""
        if activation is None:
            return x
        if activation == "relu":
            return self._add("Relu", [x])
        if activation == "relu6":
            bounds = {"minimum": np.float32(0), "maximum": np.float32(6)}
            return self._add("Clip", [x], bounds)
        if activation == "silu":
            return self._add("Mul", [x, self._add("Sigmoid", [x])])
        if activation == "gelu":
            error = self._add("Erf", [self._add("Mul", [x], {"root": np.float32(0.5**0.5)})])
            half = self._add("Mul", [x], {"half": np.float32(0.5)})
            return self._add("Mul", [half, self._add("Add", [error], {"one": np.float32(1)})])
        raise ValueError(f"activation {activation!r} is none of 'relu', 'relu6', 'silu', 'gelu'")

    def add(self, a: str, b: str) -> str:
        """Sum of two tensors of one shape: the join of a residual connection."""
        return self._add("Add", [a, b])

    def concat(self, tensors: Sequence[str]) -> str:
        """The tensors' channels after one another."""
        total = sum(self.channels(x) for x in tensors)
        return self._add("Concat", list(tensors), channels=total, axis=1)

    def transposed_conv(
        self, x: str, channels: int, kernel: int, *, stride: int, activation: str | None = None
    ) -> str:
        """Transposed convolution with a bias, cut so that every length becomes `stride` times."""
        deviation = math.sqrt(stride * stride / (self.channels(x) * kernel * kernel))
        parameters = {
            "weight": self._normal((self.channels(x), channels, kernel, kernel), deviation),
            "bias": self._normal((channels,), 0.1),
        }
        y = self._add(
            "ConvTranspose",
            [x],
            parameters,
            channels=channels,
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=[(kernel - stride + 1) // 2] * 4,
            output_padding=[(kernel - stride) % 2] * 2,
        )
        return self.activate(y, activation)

    def max_pool(self, x: str, kernel: int, stride: int) -> str:
        """Maximum over windows, padded by (kernel - 1) // 2."""
        return self._add(
            "MaxPool",
            [x],
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=[(kernel - 1) // 2] * 4,
        )

    def average_pool(self, x: str, kernel: int) -> str:
        """Mean over windows that touch but do not overlap."""
        return self._add("AveragePool", [x], kernel_shape=[kernel] * 2, strides=[kernel] * 2)

    def upsample(self, x: str, factor: int) -> str:
        """Every pixel `factor` times in each direction."""
        return self._resized(x, factor, "asymmetric", mode="nearest", nearest_mode="floor")

    def upsample_bilinear(self, x: str, factor: int) -> str:
        """`factor` times as many pixels in each direction, mixed between those of `x`."""
        return self._resized(x, factor, "half_pixel", mode="linear")

    def _resized(self, x: str, factor: int, coordinates: str, **attributes: Any) -> str:
        scales = {"scales": np.array([1, 1, factor, factor], np.float32)}
        attributes["coordinate_transformation_mode"] = coordinates
        return self._add("Resize", [x, ""], scales, **attributes)

    def global_average_pool(self, x: str) -> str:
        """Mean of each channel."""
        return self._add("GlobalAveragePool", [x])

    def flatten(self, x: str) -> str:
        """[1, channels, 1, 1] -> [1, channels]."""
        return self._add("Flatten", [x])

    def dense(self, x: str, units: int) -> str:
        """Fully connected layer with bias over [1, channels]."""
        weight = self._normal((units, self.channels(x)), math.sqrt(1 / self.channels(x)))
        parameters = {"weight": weight, "bias": self._normal((units,), 0.1)}
        return self._add("Gemm", [x], parameters, channels=units, transB=1)

    def build(self, output: str) -> onnx.ModelProto:
        """The checked model with `output` as its result, named "logits"."""
        self._nodes[-1].output[self._nodes[-1].output[:].index(output)] = "logits"
        shape = [1, self.channels(output)]
        return self._checked([helper.make_tensor_value_info("logits", TensorProto.FLOAT, shape)])

    def build_maps(self, outputs: Sequence[str]) -> onnx.ModelProto:
        """The checked model with feature maps as its results, under the names they have."""
        results = [
            helper.make_tensor_value_info(x, TensorProto.FLOAT, [1, self.channels(x), None, None])
            for x in outputs
        ]
        return self._checked(results)

    def _checked(self, results: list[onnx.ValueInfoProto]) -> onnx.ModelProto:
        graph = helper.make_graph(self._nodes, self._name, [self._input], results, self._weights)
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10
        )
        images = random_images(
            FITTING_IMAGES, self.channels(self.image), self._resolution, seed=self._seed
        )
        if self._count["BatchNormalization"]:
            batch_norm.fit(model, images)
        if not self._batch_norms:
            batch_norm.fold(model)
        onnx.checker.check_model(model)
        return onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)

    def _add(
        self,
        operator: str,
        inputs: list[str],
        parameters: dict[str, Any] | None = None,
        *,
        channels: int | None = None,
        **attributes: Any,
    ) -> str:
        """Appends a node; its parameters become initializers called after it."""
        self._count[operator] += 1
        name = f"{operator.lower()}_{self._count[operator]}"
        arguments = list(inputs)
        for role, value in (parameters or {}).items():
            arguments.append(f"{name}.{role}")
            self._weights.append(numpy_helper.from_array(np.asarray(value), arguments[-1]))
        self._nodes.append(helper.make_node(operator, arguments, [name], name, **attributes))
        self._channels[name] = self.channels(inputs[0]) if channels is None else channels
        return name

    def _normal(self, shape: tuple[int, ...], deviation: float) -> np.ndarray:
        return self._rng.standard_normal(shape, dtype=np.float32) * np.float32(deviation)
