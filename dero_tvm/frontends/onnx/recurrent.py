"""LSTM and GRU, which TVM's importer does not know, as loops over time.

ONNX has an axis of directions, gates in another order than `dero.lstm` and `dero.gru` (i, o, f, c
and z, r, h), and both biases in one operand.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from tvm import relax

from ..recurrent_layers import gru, lstm
from .old_operators import Node, numbers, reshaped, shape_of

_GATES = {"LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2)}  # of ONNX, in the order of the operator
_ACTIVATIONS = {"LSTM": ("sigmoid", "tanh", "tanh"), "GRU": ("sigmoid", "tanh")}
_OPERANDS = 8
RECURRENT = tuple(_GATES)


def recurrent(node: Node) -> relax.Expr:
    """The results that the node names; ValueError for a form that is not supported."""
    operands = [*node.inputs, *[None] * (_OPERANDS - len(node.inputs))]
    data, weight, recurrence, bias, lengths, hidden, cell, peepholes = operands
    batch_first = bool(node.attrs.get("layout", 0))
    first, second, _ = shape_of(data)
    batch, steps = (first, second) if batch_first else (second, first)
    directions = _directions(node)
    _refuse_variants(node, lengths, peepholes, steps, len(directions))
    weights = _by_gate(numbers(weight, "weights"), node.name)
    recurrences = _by_gate(numbers(recurrence, "recurrent weights"), node.name)
    units = recurrences.shape[2]
    biases = np.zeros((len(directions), 2, weights.shape[1]), "float32")
    if bias is not None:
        halves = np.split(numbers(bias, "biases"), 2, axis=1)
        biases = np.stack([_by_gate(half, node.name) for half in halves], axis=1)
    made = []
    for number, reverse in enumerate(directions):
        given = [hidden] if node.name == "GRU" else [hidden, cell]
        states = [
            _state(node, state, number, len(directions), batch, units, batch_first)
            for state in given
        ]
        operands = [data, *states, weights[number], recurrences[number], *biases[number]]
        attrs: dict[str, Any] = {"time_major": not batch_first, "reverse": reverse}
        made.append(_layer(node, operands, attrs))
    axes = (2, 1, 1) if batch_first else (1, 0, 0)
    results = [_together(node, parts, axis) for parts, axis in zip(zip(*made, strict=True), axes)]
    count = node.attrs["tvm_custom"]["num_outputs"]
    return results[0] if count == 1 else relax.Tuple(results[:count])


def _layer(node: Node, operands: list[Any], attrs: dict[str, Any]) -> tuple[relax.Expr, ...]:
    """One direction."""
    if node.name == "LSTM":  # whose biases stand in one sum
        operands[-2:] = [operands[-2] + operands[-1]]
    else:
        attrs["reset_after"] = bool(node.attrs.get("linear_before_reset", 0))
    expressions = [
        relax.const(np.ascontiguousarray(operand)) if isinstance(operand, np.ndarray) else operand
        for operand in operands
    ]
    layer = lstm if node.name == "LSTM" else gru
    return layer(node.builder, expressions, **attrs)


def _directions(node: Node) -> tuple[bool, ...]:
    """Of each direction whether it is the reverse one."""
    direction = node.attrs.get("direction", b"forward").decode()
    return {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}[direction]


def _refuse_variants(node: Node, lengths: Any, peepholes: Any, steps: int, directions: int) -> None:
    if peepholes is not None and np.any(numbers(peepholes, "peepholes")):
        raise ValueError("peepholes are not supported; train it without")
    if lengths is not None and np.any(numbers(lengths, "sequence_lens") != steps):
        raise ValueError("sequences of several lengths are not supported; give one length")
    given = [name.decode().lower() for name in node.attrs.get("activations", ())]
    expected = list(_ACTIVATIONS[node.name] * directions)
    if given and given != expected:
        raise ValueError(f"the activations {', '.join(given)} are not supported; use the default")
    for name in ("clip", "input_forget"):
        if node.attrs.get(name):
            raise ValueError(f"the attribute {name} is not supported; train it without")


def _by_gate(values: np.ndarray, operator: str) -> np.ndarray:
    """Blocks of rows, behind the axis of directions, in the order of this project's operator."""
    gates = _GATES[operator]
    blocks = np.split(values, len(gates), axis=1)
    return np.concatenate([blocks[gate] for gate in gates], axis=1)


def _state(
    node: Node, given: Any, number: int, count: int, batch: int, units: int, batch_first: bool
) -> relax.Expr:
    """What one direction begins with."""
    if given is None:
        return relax.const(np.zeros((batch, units), "float32"))
    part = given
    if count > 1:
        axis = 1 if batch_first else 0
        part = node.builder.emit(relax.op.strided_slice(given, [axis], [number], [number + 1]))
    return reshaped(part, [batch, units], node.builder)


def _together(node: Node, parts: Sequence[relax.Expr], axis: int) -> relax.Expr:
    """The results of all directions along an axis of their own."""
    apart = [node.builder.emit(relax.op.expand_dims(part, axis)) for part in parts]
    return apart[0] if len(apart) == 1 else node.builder.emit(relax.op.concat(apart, axis))
