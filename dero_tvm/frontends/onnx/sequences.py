"""Sequences of tensors whose parts are known: as the tensors themselves.

PyTorch's older exporter writes ``x.chunk(n)`` as a sequence if n is computed from a shape:

    SplitToSequence(x, [4, 4]), SequenceAt(s, i)     ->   Split(x, [4, 4])
    ConcatFromSequence(SplitToSequence(x, ...))      ->   Concat, or Unsqueeze and Concat (a stack)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import helper

from .constants import Constants

_READERS = ("ConcatFromSequence", "SequenceAt")
_OPERAND_SINCE = 13  # lengths of parts and new axes were attributes before


def spell_out_sequences(
    graph: onnx.GraphProto, opset: int, shapes: Mapping[str, Sequence[int]]
) -> bool:
    """Replace sequences that are split off a tensor, in place; whether there were any.

    Left alone are those of unknown lengths, those that other operators read, and older operator
    sets.  `shapes` are those of activations that are known.
    """
    constants = Constants(graph)
    changed = False
    for node in list(graph.node):
        if node.op_type != "SplitToSequence" or opset < _OPERAND_SINCE or len(node.input) < 2:
            continue
        lengths = _lengths(node, constants, shapes)
        readers = [other for other in graph.node if node.output[0] in other.input]
        if lengths is None or node.output[0] in _names(graph.output):
            continue
        if all(_readable(reader, len(lengths), constants) for reader in readers):
            node.input[1] = constants.add(f"{node.output[0]}_lengths", lengths)
            _spell_out(graph, node, readers, len(lengths), constants)
            changed = True
    return changed


def _lengths(
    node: onnx.NodeProto, constants: Constants, shapes: Mapping[str, Sequence[int]]
) -> np.ndarray | None:
    """The lengths of the parts, which may be given as one number for all but the last."""
    given, shape = constants.value(node.input[1]), shapes.get(node.input[0])
    if given is None or given.ndim == 1:
        return given
    if shape is None or int(given) < 1:
        return None
    whole, rest = divmod(int(shape[_attribute(node, "axis")]), int(given))
    return np.array([int(given)] * whole + [rest] * (rest > 0), np.int64)


def _names(values: object) -> set[str]:
    return {value.name for value in values}  # type: ignore[attr-defined]


def _readable(reader: onnx.NodeProto, count: int, constants: Constants) -> bool:
    if reader.op_type != "SequenceAt":
        return reader.op_type in _READERS
    index = constants.value(reader.input[1])
    return index is not None and index.size == 1 and -count <= int(index.flat[0]) < count


def _spell_out(
    graph: onnx.GraphProto,
    node: onnx.NodeProto,
    readers: list[onnx.NodeProto],
    count: int,
    constants: Constants,
) -> None:
    parts = [f"{node.output[0]}_part_{index}" for index in range(count)]
    axis = _attribute(node, "axis")
    position = list(graph.node).index(node)
    split = helper.make_node("Split", list(node.input), parts, f"{node.name}_split", axis=axis)
    graph.node.remove(node)
    graph.node.insert(position, split)
    for reader in readers:
        position = list(graph.node).index(reader)
        graph.node.remove(reader)
        if reader.op_type == "SequenceAt":
            chosen = constants.value(reader.input[1])
            assert chosen is not None  # what `_readable` looked at
            index = int(np.ravel(chosen)[0])
            new = [helper.make_node("Identity", [parts[index]], list(reader.output), reader.name)]
        else:
            new = _joined(reader, parts, constants)
        for offset, made in enumerate(new):
            graph.node.insert(position + offset, made)


def _joined(reader: onnx.NodeProto, parts: list[str], constants: Constants) -> list[onnx.NodeProto]:
    """The parts along one axis, an old one or a new one."""
    axis, operands, nodes = _attribute(reader, "axis"), parts, []
    if _attribute(reader, "new_axis"):
        operands = [f"{reader.output[0]}_{index}" for index in range(len(parts))]
        axes = f"{reader.output[0]}_axes"
        constants.define(axes, np.array([axis], np.int64))
        for part, operand in zip(parts, operands):
            nodes.append(helper.make_node("Unsqueeze", [part, axes], [operand], operand))
    return [
        *nodes,
        helper.make_node("Concat", operands, list(reader.output), reader.name, axis=axis),
    ]


def _attribute(node: onnx.NodeProto, name: str) -> int:
    return next((attribute.i for attribute in node.attribute if attribute.name == name), 0)
