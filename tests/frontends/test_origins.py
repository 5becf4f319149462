"""Every operator of a canonical module knows the layer of the model file it comes from."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
from onnx import helper
from tvm import relax
from tvm.script import ir as I
from tvm.script import relax as R

from dero_tvm.frontends import load
from relax_passes import pipeline
from relax_passes.canonicalization.canonicalize import Canonicalize
from relax_passes.ir.operator_graph import operator_graph
from relax_passes.ir.origins import Origin, origin_of, with_origins
from relax_passes.ir.straight_line import read_function
from tests.tflite_builder import TFLiteBuilder
from tests.tiny_models import model_of

IMAGE = (1, 4, 6, 6)


def origins(module: tvm.IRModule) -> dict[str, set[str]]:
    """For each kind of operator the layers that its instances come from."""
    found: dict[str, set[str]] = {}
    for _, data in operator_graph(module).nodes(data=True):
        if data["operator"] is not None:
            found.setdefault(data["operator"], set()).add(str(data["origin"]))
    return found


def test_onnx_nodes_by_name_or_by_what_they_compute() -> None:
    weight = np.ones((4, 4, 3, 3), np.float32)
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["a"], "first/Conv", pads=[1] * 4),
        helper.make_node("Relu", ["a"], ["b"], "first/Relu"),
        helper.make_node("Split", ["b"], ["left", "right"], "halves", axis=1),
        helper.make_node("Concat", ["right", "left"], ["c"], axis=1),
        helper.make_node("Conv", ["c", "w"], ["d"], "second/Conv", pads=[1] * 4),
        helper.make_node("Sigmoid", ["d"], ["gate"], "gate/Sigmoid"),
        helper.make_node("Mul", ["b", "gate"], ["y"], "gate/Mul"),
    ]
    model = model_of(nodes, {"image": IMAGE}, {"y": IMAGE}, {"w": weight})
    canonical = Canonicalize()(load(model).module)
    expected = {
        "dero.conv2d": {"Conv 'first/Conv'", "Conv 'second/Conv'"},
        "dero.slice": {"Split 'halves'"},
        "dero.concat": {"Concat 'c'"},
        "dero.unary": {"Sigmoid 'gate/Sigmoid'"},
        "dero.multiply": {"Mul 'gate/Mul'"},
    }
    assert {kind: found for kind, found in origins(canonical).items() if kind in expected} == (
        expected
    )
    streamed = pipeline.stream()(canonical)
    lines = [read_function(streamed, name) for name in streamed.get_global_vars()]
    assert len(lines) > 1
    named = {str(origin_of(var)) for line in lines for var, _ in line.bindings}
    assert expected["dero.conv2d"] <= named


def test_tflite_tensors() -> None:
    b = TFLiteBuilder()
    x = b.input("image", (1, 6, 6, 4))
    weight = b.constant("w", np.ones((4, 3, 3, 4), np.float32))
    first, total = b.tensor("block/conv", None), b.tensor("block/add", None)
    options = {"padding": "SAME", "stride_w": 1, "stride_h": 1}
    b.operator("CONV_2D", [x, weight, b.constant("b", np.ones(4, np.float32))], [first], **options)
    b.operator("ADD", [first, x], [total], fused_activation_function="RELU")
    assert origins(Canonicalize()(load(b.build([total])).module)) == {
        "dero.conv2d": {"CONV_2D 'block/conv'"},
        "dero.add": {"ADD 'block/add'"},
    }


def test_pytorch_modules() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")

    class Block(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = torch.nn.Conv2d(4, 4, 3, padding=1)

        def forward(self, x):
            return x + self.conv(x)

    network = torch.nn.Sequential(Block(), torch.nn.Sigmoid()).eval()
    program = torch.export.export(network, (torch.zeros(IMAGE),))
    assert origins(Canonicalize()(load(program).module)) == {
        "dero.transpose": {"convolution '0.conv'", "sigmoid '1'"},
        "dero.conv2d": {"convolution '0.conv'"},
        "dero.add": {"add '0'"},
        "dero.unary": {"sigmoid '1'"},
    }


def test_what_is_bound_on_the_way_belongs_to_its_reader() -> None:
    @I.ir_module
    class Module:
        @R.function
        def main(x: R.Tensor((4, 6), "float32")) -> R.Tensor((2, 6), "float32"):
            with R.dataflow():
                a = R.add(x, x)
                b = R.multiply(a, x)
                c = R.split(b, 2)
                d = c[0]
                e = R.nn.relu(d)
                R.output(e)
            return e

    (block,) = Module["main"].body.blocks
    a, b, c, d, e = (binding.var for binding in block.bindings)
    product, split = Origin("Mul", "product"), Origin("Split", "halves")
    named = with_origins(Module, {b: product, block.bindings[2].value: split})
    assert [origin_of(binding.var) for binding in named["main"].body.blocks[0].bindings] == [
        product,
        product,
        split,
        split,
        None,
    ]
    tvm.ir.assert_structural_equal(named, Module)
    relax.analysis.well_formed(named)
