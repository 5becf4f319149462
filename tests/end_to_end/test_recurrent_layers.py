"""LSTM and GRU of ONNX and PyTorch, in C, against their own programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from dero_tvm.frontends import LoadedModel
from dero_tvm.frontends.load import load
from relax_passes.pipeline import Canonicalize
from tests.compiled.c_batch import library_of, streamed_and_whole
from tests.end_to_end.oracles import onnx_runtime
from tests.frontends.refusals import refusal

STEPS, WIDTH, UNITS = 5, 4, 3
GATES = {"LSTM": 4, "GRU": 3}


@dataclass
class Case:
    loaded: LoadedModel
    inputs: Mapping[str, np.ndarray]
    expected: Mapping[str, np.ndarray]


def onnx_layer(
    operator: str,
    direction: str = "forward",
    *,
    batch: int = 1,
    layout: int = 0,
    states: bool = False,
    biases: bool = True,
    results: tuple[str, ...] = ("y", "h", "c"),
    **attrs: Any,
) -> onnx.ModelProto:
    """One node; `states` are inputs of the network, `results` those of its outputs that it has."""
    rng = np.random.default_rng(0)
    directions = 2 if direction == "bidirectional" else 1
    rows = GATES[operator] * UNITS
    shapes = {"w": (directions, rows, WIDTH), "r": (directions, rows, UNITS)}
    if biases:
        shapes["b"] = (directions, 2 * rows)
    constants = [
        numpy_helper.from_array((rng.standard_normal(shape) / 2).astype("f"), name)
        for name, shape in shapes.items()
    ]
    state = (batch, directions, UNITS) if layout else (directions, batch, UNITS)
    data = (batch, STEPS, WIDTH) if layout else (STEPS, batch, WIDTH)
    whole = (batch, STEPS, directions, UNITS) if layout else (STEPS, directions, batch, UNITS)
    names = ["h", "c"][: 2 if operator == "LSTM" else 1]
    inputs = {"x": data, **({f"{name}0": state for name in names} if states else {})}
    operands = ["x", "w", "r", "b" if biases else "", "", *list(inputs)[1:]]
    made = [name if name in results else "" for name in ("y", *names)]
    if layout:
        attrs["layout"] = layout
    attributes = {"hidden_size": UNITS, "direction": direction, **attrs}
    node = helper.make_node(operator, operands, made, name="layer", **attributes)
    shapes_out = {"y": whole, "h": state, "c": state}
    graph = helper.make_graph(
        [node],
        "layer",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs.items()],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, shapes_out[n]) for n in made if n],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)


def of_onnx(model: onnx.ModelProto) -> Case:
    loaded = load(model)
    rng = np.random.default_rng(1)
    inputs = {p.name: rng.standard_normal(p.shape).astype("f") for p in loaded.inputs}
    (expected,) = onnx_runtime(model, [inputs])
    return Case(loaded, inputs, expected)


def of_pytorch(kind: str, *, last: bool, **options: Any) -> Case:
    """A layer and a dense one behind all of its steps or the last one."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = getattr(torch.nn, kind)(WIDTH, UNITS, batch_first=True, **options)
            self.head = torch.nn.Linear(UNITS * (2 if options.get("bidirectional") else 1), 2)

        def forward(self, x):
            y, _ = self.layer(x)
            return self.head(y[:, -1] if last else y)

    torch.manual_seed(0)
    module = Model().eval()
    x = torch.randn(1, STEPS, WIDTH)
    loaded = load(torch.export.export(module, (x,)))
    name, output = loaded.inputs[0].name, loaded.outputs[0].name
    return Case(loaded, {name: x.numpy()}, {output: module(x).detach().numpy()})


def cases() -> dict[str, Case]:
    layers = {
        "lstm": onnx_layer("LSTM"),
        "lstm_last": onnx_layer("LSTM", results=("h",)),
        "lstm_cell_alone": onnx_layer("LSTM", results=("c",), biases=False),
        "lstm_reverse_last": onnx_layer("LSTM", "reverse", results=("h", "c"), states=True),
        "lstm_both_ways": onnx_layer("LSTM", "bidirectional", batch=2, states=True),
        "gru": onnx_layer("GRU", results=("y",)),
        "gru_reset_after": onnx_layer("GRU", linear_before_reset=1, states=True),
        "gru_both_ways": onnx_layer("GRU", "bidirectional", batch=2, linear_before_reset=1),
        "gru_last": onnx_layer("GRU", "reverse", results=("h",), biases=False),
    }
    found = {name: of_onnx(model) for name, model in layers.items()}
    deep = {"num_layers": 2, "bidirectional": True}
    for kind in ("LSTM", "GRU"):
        found[f"torch_{kind}_last"] = of_pytorch(kind, last=True)
        found[f"torch_{kind}_all"] = of_pytorch(kind, last=False, bias=False)
        found[f"torch_{kind}_deep"] = of_pytorch(kind, last=True, **deep)
    return found


def test_layers_in_c() -> None:
    """Streamed and whole; one loop a layer and direction."""
    made = cases()
    programs = {}
    for name, case in made.items():
        streamed, whole = streamed_and_whole(case.loaded)
        programs |= {f"{name}_streamed": streamed, f"{name}_whole": whole}
    library = library_of(programs)
    for name, case in made.items():
        for way in ("streamed", "whole"):
            outputs = library.run(f"{name}_{way}", case.inputs)[0]
            assert outputs.keys() == case.expected.keys()
            for key, expected in case.expected.items():
                np.testing.assert_allclose(
                    outputs[key], expected, rtol=1e-5, atol=1e-6, err_msg=f"{name} {key}"
                )


@pytest.mark.parametrize(
    ("case", "steps"),
    [
        (lambda: of_onnx(onnx_layer("LSTM", results=("h",))), 1),
        (lambda: of_onnx(onnx_layer("GRU", "reverse", results=("h",))), 1),
        (lambda: of_onnx(onnx_layer("GRU")), STEPS),
        (lambda: of_pytorch("LSTM", last=True), 1),
        (lambda: of_pytorch("LSTM", last=False), STEPS),
    ],
)
def test_steps_that_nobody_reads(case, steps: int) -> None:
    """Of a layer whose last state alone is read, no other is kept."""
    module = Canonicalize()(case().loaded.module)
    layers = [
        binding.value
        for block in module["main"].body.blocks
        for binding in block.bindings
        if getattr(binding.value, "op", None) is not None
        and getattr(binding.value.op, "name", "") in ("dero.lstm", "dero.gru")
    ]
    assert [bool(call.attrs["sequence"]) for call in layers] == [steps > 1]


def with_operand(index: int, values: np.ndarray) -> onnx.ModelProto:
    model = onnx_layer("LSTM")
    node = model.graph.node[0]
    node.input.extend([""] * (index + 1 - len(node.input)))
    node.input[index] = "more"
    model.graph.initializer.append(numpy_helper.from_array(values, "more"))
    return model


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: onnx_layer("LSTM", clip=1.0), "LSTM (node 'layer'): the attribute clip"),
        (lambda: onnx_layer("LSTM", input_forget=1), "the attribute input_forget"),
        (
            lambda: onnx_layer("GRU", activations=["Sigmoid", "Relu"]),
            "the activations sigmoid, relu are not supported",
        ),
        (lambda: with_operand(4, np.array([2], np.int32)), "sequences of several lengths"),
        (lambda: with_operand(7, np.ones((1, 3 * UNITS), "f")), "peepholes are not supported"),
    ],
)
def test_refusals(build, message: str) -> None:
    assert message in refusal(build())
