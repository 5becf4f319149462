"""Reports and generated C say from which layers of the model file each operator was made."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tflite
from onnx import helper

import dero_tvm
from dero_tvm.aot.names import c_comment
from dero_tvm.driver.compiler import CompiledModel
from dero_tvm.frontends import load
from dero_tvm.report.layer_names import few, with_layers
from dero_tvm.schedule.extract import extract
from relax_passes import pipeline
from tests.campaigns.random_onnx.forms import random_network
from tests.models.tiny_models import model_of


def check(compiled: CompiledModel, expected: dict[str, int]) -> None:
    """`expected`: the layers with weights, and how many operators are named after each.

    What is joined with a residual is named after the join, and its layer is another of its layers.
    """
    weighted = [op for op in compiled.report.operators if op.macs]
    assert set(expected) <= {name for op in weighted for name in op.layers}
    named = [op.layers[0] for op in weighted if "_" not in op.operator]
    assert named and all(named.count(name) == expected[name] for name in named)
    assert all(op.layers for op in compiled.report.operators if op.operator != "input")
    files = compiled.archive.files
    page = html.unescape(compiled.report.to_html())
    code = files["codegen/host/src/default_lib1.c"].decode()
    for name in expected:
        assert name in page
        assert f"from {c_comment(name, 400)}\n" in code
    for text in (files["metadata.json"].decode(), compiled.report.to_json()):
        assert set(expected) <= set(re.findall(r'"(.*)"', text))


@pytest.mark.parametrize("dero", ["none", "accumulate", "overlap", "stream"])
def test_resnet8(dero: str, shared: Path) -> None:
    path = shared / "models" / "mlperf_tiny" / "pretrainedResnet_quant.tflite"
    model = tflite.Model.GetRootAsModel(path.read_bytes(), 0)
    graph = model.Subgraphs(0)
    weighted = (tflite.BuiltinOperator.CONV_2D, tflite.BuiltinOperator.FULLY_CONNECTED)
    operators = map(graph.Operators, range(graph.OperatorsLength()))
    names = [
        graph.Tensors(op.Outputs(0)).Name().decode()
        for op in operators
        if model.OperatorCodes(op.OpcodeIndex()).BuiltinCode() in weighted
    ]
    assert len(names) == 10
    check(dero_tvm.compile(path, dero=dero), dict.fromkeys(names, 1))


def resnet18(width: int) -> Any:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    nn = torch.nn

    class BasicBlock(nn.Module):
        def __init__(self, channels: int, out: int, stride: int) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(channels, out, 3, stride, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(out)
            self.relu = nn.ReLU()
            self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(out)
            self.downsample = None
            if stride > 1:
                projection = nn.Conv2d(channels, out, 1, stride, bias=False)
                self.downsample = nn.Sequential(projection, nn.BatchNorm2d(out))

        def forward(self, x):
            kept = x if self.downsample is None else self.downsample(x)
            return self.relu(self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x))))) + kept)

    class ResNet18(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
            self.bn1, self.relu = nn.BatchNorm2d(width), nn.ReLU()
            self.maxpool = nn.MaxPool2d(3, 2, 1)
            channels = width
            for stage in range(4):
                out = width << stage
                blocks = (BasicBlock(channels, out, 1 + (stage > 0)), BasicBlock(out, out, 1))
                self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
                channels = out
            self.avgpool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(channels, 10)

        def forward(self, x):
            x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
            x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
            return self.fc(torch.flatten(self.avgpool(x), 1))

    return torch.export.export(ResNet18().eval(), (torch.zeros(1, 3, 32, 32),))


def test_pytorch_resnet18() -> None:
    program = resnet18(4)
    layers = [
        name for name in program.state_dict if re.search(r"(conv\d|fc|downsample.0).weight", name)
    ]
    compiled = dero_tvm.compile(program, dero="stream")
    check(compiled, {name.removesuffix(".weight"): 1 for name in layers})
    merged = {op.layers for op in compiled.report.operators}
    assert ("layer1.0.conv1", "layer1.0.bn1", "layer1.0.relu") in merged


def test_what_onnx_nodes_became() -> None:
    """Names that merge, that vanish, that are hostile, and those of a view and a slice."""
    weight = np.ones((4, 4, 3, 3), np.float32)
    hostile = "a*/ \n\x1b[31m<b>{{ 1 }}"
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], "stem/conv", pads=[1] * 4),
        helper.make_node("Mul", ["a", "scale"], ["b"], "stem/scale"),
        helper.make_node("Relu", ["b"], ["c"], "stem/relu"),
        helper.make_node("Pad", ["c", "frame"], ["d"], "second/pad"),
        helper.make_node("Conv", ["d", "w"], ["e"], hostile),
        helper.make_node("Concat", ["c", "e"], ["f"], axis=1),
        helper.make_node("Flatten", ["f"], ["y"], "flat"),
    ]
    frame = np.array([0, 0, 1, 1, 0, 0, 1, 1])
    constants = {"w": weight, "scale": np.full((1, 4, 1, 1), 2, np.float32), "frame": frame}
    model = model_of(nodes, {"x": (1, 4, 4, 4)}, {"y": (1, 128)}, constants)
    compiled = dero_tvm.compile(model, dero="overlap", input_layout="nhwc")
    layers = [op.layers for op in compiled.report.operators if op.operator != "input"]
    assert layers[:3] == [
        ("stem/conv", "stem/scale", "stem/relu"),
        (hostile, "second/pad"),
        ("f", "flat"),
    ]
    code = compiled.archive.files["codegen/host/src/default_lib1.c"].decode()
    assert " *       from a* / ? ?[31m<b>{{ 1 }}\n" in code
    assert "<b>{{ 1 }}" not in compiled.report.to_html()


@pytest.mark.parametrize("seed", range(20, 28))
def test_every_operator_of_random_networks(seed: int) -> None:
    """Those among them that a pass adds at inputs and outputs, and copies of results."""
    module = pipeline.canonicalize()(load(random_network(seed).model).module)
    for sequence in (pipeline.accumulate(), pipeline.stream()):
        network = extract(sequence(module))
        for operation in network.operations:
            assert network.layers.get(operation.result), operation.name


def test_in_a_line() -> None:
    layers = {"lv1": ("conv1", "relu1"), "lv10": ("conv9",)}
    told = with_layers("from lv1 to lv10, not xlv1", layers)
    assert told == "from lv1 (conv1) to lv10 (conv9), not xlv1"
    assert few("abcdef") == "a, b, c, d, e, f"
    assert few("abcdefgh") == "a, b, c, ... 2 more ..., f, g, h"
