"""Random networks in the forms in which they are compiled: float32 and quantized in two ways.

``float32``
    as `networks` makes it.
``qdq``
    QuantizeLinear and DequantizeLinear around every operator, with scales, zero points and types
    drawn at random (`quantize_linear`); ports of integers or of floats.
``quantizer``
    the same network through ONNX Runtime's static quantizer.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidGraph

from tests.campaigns.random_onnx.networks import random_graph
from tests.campaigns.random_onnx.oracle import expected_outputs, inputs_without_ties, random_inputs
from tests.campaigns.random_onnx.quantize_linear import LEAST_OPSET, with_quantized_tensors
from tests.campaigns.random_onnx.static_quantizer import statically_quantized

FORMS = ("float32", "qdq", "float32", "quantizer")


@dataclass(frozen=True)
class Network:
    """A model, inputs for it, and what ONNX Runtime computes of them.

    `exact` names the outputs that have to have ONNX Runtime's bits.
    """

    form: str
    model: onnx.ModelProto
    inputs: Mapping[str, np.ndarray]
    expected: Mapping[str, np.ndarray]
    exact: frozenset[str]


def random_network(seed: int) -> Network:
    """The network of a seed, in the form of the seed."""
    form, attempt = FORMS[seed % len(FORMS)], 0
    while True:
        try:
            network = _network(form, seed + 10_000_019 * attempt)
        except (Fail, InvalidGraph):  # its rules of shapes, for all nodes at once, disagree with
            network = None  # what its operators gave one by one
        if network is not None:
            return network
        attempt += 1  # every input is near a tie, as averages in the scale of their data are


def _network(form: str, seed: int) -> Network | None:
    numbers = np.random.default_rng(seed)
    if form == "float32":
        model, graph = random_graph(seed)
        inputs = {port.name: graph.values[port.name] for port in model.graph.input}
        return Network(form, model, inputs, expected_outputs(model, inputs), frozenset())
    model, graph = random_graph(seed, LEAST_OPSET)
    if form == "qdq":
        model = with_quantized_tensors(model, graph.values, random.Random(seed))
    else:
        readings = [random_inputs(model, numbers) for _ in range(3)]
        model = statically_quantized(model, readings, random.Random(seed))
    inputs = None if model is None else inputs_without_ties(model, numbers)
    if inputs is None:
        return None
    kinds = {output: node.op_type for node in model.graph.node for output in node.output}
    exact = frozenset(
        port.name
        for port in model.graph.output
        if kinds[port.name] in ("QuantizeLinear", "DequantizeLinear")
    )
    return Network(form, model, inputs, expected_outputs(model, inputs), exact)
