"""The smallest part of a network that still fails, and its description."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import onnx
from onnx import helper, numpy_helper

from tests.campaigns.random_onnx.forms import Network
from tests.onnx_session import session

Verdicts = Callable[[Mapping[str, Network]], Mapping[str, str | None]]
_ROUNDS = 6


def smallest_failing(network: Network, verdict: str, judge: Verdicts) -> tuple[Network, str]:
    """A part with one output, whose inputs may be inner tensors, and the verdict on it.

    The whole network and `verdict` if it only fails as a whole.
    """
    values = _all_values(network)
    inner = [name for node in network.model.graph.node for name in node.output if name]
    found = _smallest([_part(network, values, [name], []) for name in inner], judge)
    if found is None:
        return network, verdict
    for _ in range(_ROUNDS):
        small = found[0]
        (output,) = (port.name for port in small.model.graph.output)
        given = [port.name for port in small.model.graph.input]
        parts = [
            _part(small, values, [output], [*given, name])
            for node in small.model.graph.node
            for name in node.output
            if name and name != output
        ]
        smaller = _smallest([p for p in parts if _size(p) < _size(small)], judge)
        if smaller is None:
            break
        found = smaller
    return found


def _smallest(parts: Sequence[Network], judge: Verdicts) -> tuple[Network, str] | None:
    verdicts = judge({f"part_{number}": part for number, part in enumerate(parts)})
    failing = [(part, verdicts[f"part_{i}"]) for i, part in enumerate(parts)]
    failing = [(part, verdict) for part, verdict in failing if verdict is not None]
    return min(failing, key=lambda found: _size(found[0]), default=None)


def _size(network: Network) -> int:
    return len(network.model.graph.node)


def _all_values(network: Network) -> dict[str, np.ndarray]:
    """What ONNX Runtime computes for every tensor."""
    model = onnx.ModelProto()
    model.CopyFrom(network.model)
    names = [name for node in model.graph.node for name in node.output if name]
    del model.graph.output[:]
    model.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names)
    values = dict(zip(names, session(model).run(names, dict(network.inputs))))
    return {**values, **network.inputs}


def _part(
    network: Network,
    values: Mapping[str, np.ndarray],
    outputs: Sequence[str],
    given: Sequence[str],
) -> Network:
    """The nodes between some tensors and others."""
    needed, nodes = set(outputs), []
    for node in reversed(network.model.graph.node):
        if set(node.output) & (needed - set(given)):
            needed.update(node.input)
            nodes.append(node)
    made = {name for node in nodes for name in node.output}
    read = {name for node in nodes for name in node.input}
    inputs = {n: values[n] for n in values if n in read and (n in given or n not in made)}
    graph = helper.make_graph(
        nodes[::-1],
        "random",
        [_port(name, values[name]) for name in inputs],
        [_port(name, values[name]) for name in outputs],
        [t for t in network.model.graph.initializer if t.name in read],
    )
    opsets, version = network.model.opset_import, network.model.ir_version
    model = helper.make_model(graph, opset_imports=opsets, ir_version=version)
    kinds = {name: node.op_type for node in nodes for name in node.output}
    exact = frozenset(n for n in outputs if kinds[n] in ("QuantizeLinear", "DequantizeLinear"))
    expected = {name: values[name] for name in outputs}
    return replace(network, model=model, inputs=inputs, expected=expected, exact=exact)


def _port(name: str, value: np.ndarray) -> onnx.ValueInfoProto:
    kind = helper.np_dtype_to_tensor_dtype(value.dtype)
    return helper.make_tensor_value_info(name, kind, value.shape)


def described(network: Network) -> str:
    """A line for each node, with shapes of operands and small constants."""
    graph = network.model.graph
    constants = {t.name: numpy_helper.to_array(t) for t in graph.initializer}

    def operand(name: str) -> str:
        array = constants.get(name)
        if array is None:
            given = network.inputs.get(name)
            return name if given is None else f"{name}: {given.dtype}{list(given.shape)}"
        return str(array.tolist()) if array.size <= 8 else f"{array.dtype}{list(array.shape)}"

    lines = [f"  {network.form}, opset {network.model.opset_import[0].version}"]
    for node in graph.node:
        attributes = [f"{a.name}={helper.get_attribute_value(a)}" for a in node.attribute]
        operands = ", ".join([*map(operand, node.input), *attributes])
        lines.append(f"  {', '.join(node.output)} = {node.op_type}({operands})")
    return "\n".join([*lines, f"  outputs: {', '.join(port.name for port in graph.output)}"])
