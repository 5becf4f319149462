"""The example networks have the published sizes, and one function in all their forms."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import onnx
import onnxruntime
import pytest

from examples.models.densenet import densenet121
from examples.models.layers import NetworkBuilder
from examples.models.mcunet_in3 import mcunet_in3
from examples.models.mobilenet_v2 import mobilenet_v2
from examples.models.quantize import quantize
from examples.models.random_images import random_inputs
from examples.models.resnet import resnet
from examples.models.resnet8 import resnet8

Builder = Callable[..., onnx.ModelProto]

BUILDERS: dict[str, Builder] = {
    "resnet18": partial(resnet, 18),
    "resnet34": partial(resnet, 34),
    "resnet50": partial(resnet, 50),
    "mobilenet_v2": mobilenet_v2,
    "mcunet_in3": mcunet_in3,
    "densenet121": densenet121,
    "resnet8": resnet8,
}


def parameter_count(model: onnx.ModelProto) -> int:
    """Trained numbers as the literature counts them: without a batch norm's mean and variance."""
    constants = {
        name
        for node in model.graph.node
        for name in {
            "BatchNormalization": node.input[3:],
            "Clip": node.input[1:],
            "Resize": node.input[2:],
        }.get(node.op_type, [])
    }
    return sum(
        math.prod(tensor.dims) for tensor in model.graph.initializer if tensor.name not in constants
    )


def run(model: onnx.ModelProto, feed: dict[str, np.ndarray]) -> np.ndarray:
    """The model's logits as ONNX Runtime computes them, node by node as written."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    return session.run(["logits"], feed)[0]


def macs(model: onnx.ModelProto) -> int:
    """Multiply-accumulates of convolutions and dense layers."""
    weights = {tensor.name: tensor.dims for tensor in model.graph.initializer}
    shapes = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*model.graph.value_info, *model.graph.output)
    }
    total = 0
    for node in model.graph.node:
        if node.op_type == "Conv":
            total += math.prod(shapes[node.output[0]]) * math.prod(weights[node.input[1]][1:])
        elif node.op_type == "Gemm":
            total += math.prod(weights[node.input[1]])
    return total


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("resnet18", 11_689_512),  # this and the next five: torchvision's documentation
        ("resnet34", 21_797_672),
        ("resnet50", 25_557_032),
        ("mobilenet_v2", 3_504_872),
        ("densenet121", 7_978_856),
        ("mcunet_in3", 737_408),  # "0.74M" in the MCUNet authors' model list
    ],
)
def test_parameter_count(name: str, parameters: int) -> None:
    model = BUILDERS[name](resolution=32, batch_norms=True)
    assert parameter_count(model) == parameters


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("mobilenet_v2", 300e6),  # the paper, table 4
        ("mcunet_in3", 81.8e6),  # the authors' model list
        ("resnet8", 12.5e6),  # of the benchmark's own file
    ],
)
def test_macs(name: str, published: float) -> None:
    assert macs(BUILDERS[name]()) == pytest.approx(published, rel=0.01)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "mcunet_in3", "densenet121"])
def test_folding_keeps_the_function(name: str) -> None:
    builder = partial(BUILDERS[name], resolution=64, classes=10, seed=3)
    written, folded = builder(batch_norms=True), builder()
    assert "BatchNormalization" in {node.op_type for node in written.graph.node}
    assert "BatchNormalization" not in {node.op_type for node in folded.graph.node}
    (feed,) = random_inputs(folded, 1, seed=1)
    np.testing.assert_allclose(run(folded, feed), run(written, feed), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["mcunet_in3", "densenet121"])
def test_seed_decides_the_weights(name: str) -> None:
    build = partial(BUILDERS[name], resolution=32, classes=10)
    assert build(seed=1).SerializeToString() == build(seed=1).SerializeToString()
    assert build(seed=1).SerializeToString() != build(seed=2).SerializeToString()


def test_mobilenet_width_scales_every_stage_to_multiples_of_eight() -> None:
    model = mobilenet_v2(width=0.35, resolution=32, batch_norms=True)
    assert parameter_count(model) == 1_677_128
    weights = [t.dims for t in model.graph.initializer if len(t.dims) == 4]
    assert weights[0] == [16, 3, 3, 3]
    assert weights[-1] == [1280, 112, 1, 1]
    assert all(dims[0] % 8 == 0 for dims in weights)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "mcunet_in3", "densenet121"])
def test_quantized(name: str) -> None:
    model = BUILDERS[name](resolution=64, classes=10)
    quantized = quantize(model, random_inputs(model, 8))

    tensors = {tensor.name: tensor for tensor in quantized.graph.initializer}
    makers = {output: node for node in quantized.graph.node for output in node.output}
    for node in quantized.graph.node:
        if node.op_type == "Conv":
            data, weight = (makers[operand] for operand in node.input[:2])
            assert data.op_type == weight.op_type == "DequantizeLinear"
            values, scales = (tensors[operand] for operand in weight.input[:2])
            assert values.data_type == onnx.TensorProto.INT8
            assert scales.dims == values.dims[:1]  # one scale a filter

    feeds = list(random_inputs(model, 8, seed=1))
    expected = np.concatenate([run(model, feed) for feed in feeds])
    actual = np.concatenate([run(quantized, feed) for feed in feeds])
    assert np.corrcoef(expected.ravel(), actual.ravel())[0, 1] > 0.9
    # The logits depend on the image, or a comparison of int8 results would show little.
    assert len(np.unique(actual, axis=0)) == len(feeds)
    assert actual.std(axis=0).mean() > 0.05 * actual.std()


def test_refusals() -> None:
    with pytest.raises(ValueError, match="ResNet-20 is none of 18, 34, 50"):
        resnet(20)
    net = NetworkBuilder("net", resolution=8)
    with pytest.raises(ValueError, match="'swish' is none of"):
        net.conv(net.image, 8, 3, activation="swish")
