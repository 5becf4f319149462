"""Batch norms of an ONNX model: set to the statistics of given images, and folded away.

A network of random weights whose norms are not fitted forgets its input: layer after layer, what
all inputs have in common grows and what tells them apart vanishes.  Fitted norms keep every
channel centred and of one size, as training does.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

EPSILON = 1e-5  # ONNX's and PyTorch's default


def fit(model: onnx.ModelProto, images: np.ndarray) -> None:
    """Sets each norm's mean and variance to those of its input on `images` [N, C, H, W]."""
    norms = [node for node in model.graph.node if node.op_type == "BatchNormalization"]
    statistics = [name for node in norms for name in node.input[3:]]
    session = onnxruntime.InferenceSession(_measuring(model, statistics).SerializeToString())
    measured = session.run(statistics, {model.graph.input[0].name: images})
    values = dict(zip(statistics, measured, strict=True))
    for tensor in model.graph.initializer:
        if tensor.name in values:
            tensor.CopyFrom(numpy_helper.from_array(values[tensor.name], tensor.name))


def fold(model: onnx.ModelProto) -> None:
    """Moves each norm into the convolution before it; without one, it becomes a 1x1 depthwise one.

    With `factor = scale / sqrt(variance + EPSILON)`, the norm of `y` is
    `factor * y + (bias - factor * mean)`: the convolution's weights are multiplied by `factor`,
    and the rest is its bias.
    """
    graph = model.graph
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    makers = {output: node for node in graph.node for output in node.output}
    uses = Counter(name for node in graph.node for name in node.input)
    kept: list[onnx.NodeProto] = []
    for node in graph.node:
        if node.op_type != "BatchNormalization":
            kept.append(node)
            continue
        x, *names = node.input
        scale, bias, mean, variance = (tensors.pop(name) for name in names)
        factor = (scale / np.sqrt(variance + np.float32(EPSILON)))[:, None, None, None]
        conv = makers.get(x)
        if conv is not None and conv.op_type == "Conv" and len(conv.input) == 2 and uses[x] == 1:
            tensors[conv.input[1]] = tensors[conv.input[1]] * factor
            conv.output[0] = node.output[0]
        else:
            weight = f"{node.name}.weight"
            tensors[weight] = factor
            conv = helper.make_node(
                "Conv", [x, weight], node.output[:], node.name, group=len(factor)
            )
            kept.append(conv)
        conv.input.append(f"{conv.name}.bias")
        tensors[conv.input[2]] = bias - factor.ravel() * mean
    del graph.node[:]
    graph.node.extend(kept)
    del graph.initializer[:]
    graph.initializer.extend(numpy_helper.from_array(tensors[name], name) for name in tensors)


def _measuring(model: onnx.ModelProto, statistics: list[str]) -> onnx.ModelProto:
    """The model for any batch size, whose norms take the statistics of the batch itself.

    Its outputs are those statistics, called as the initializers that they stand for.
    """
    graph = onnx.GraphProto(name=model.graph.name)
    graph.input.extend(model.graph.input)
    graph.input[0].type.tensor_type.shape.dim[0].dim_param = "N"
    graph.initializer.extend(t for t in model.graph.initializer if t.name not in statistics)
    axes = numpy_helper.from_array(np.array([0, 2, 3]), "axes")
    graph.initializer.append(axes)
    for node in model.graph.node:
        if node.op_type == "BatchNormalization":
            x, (mean, variance) = node.input[0], node.input[3:]
            row, centred, squared = (f"{node.name}.{i}" for i in range(3))
            graph.node.extend(
                [
                    helper.make_node("ReduceMean", [x, "axes"], [mean], keepdims=0),
                    helper.make_node("ReduceMean", [x, "axes"], [row], keepdims=1),
                    helper.make_node("Sub", [x, row], [centred]),
                    helper.make_node("Mul", [centred, centred], [squared]),
                    helper.make_node("ReduceMean", [squared, "axes"], [variance], keepdims=0),
                ]
            )
        graph.node.append(node)
    graph.output.extend(
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in statistics
    )
    return helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
