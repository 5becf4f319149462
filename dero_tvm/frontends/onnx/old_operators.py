"""Operators of old operator sets in a form that TVM's importer knows, by their own definitions.

An operator means what it meant in the set that the model names, and several changed: attributes
became operands, defaults moved, broadcasting had an axis.  The importer knows some old forms; where
it would take an old node for a newer one, a rule here gives it the newer form of the same meaning.
"""

from __future__ import annotations

from collections.abc import Callable, MutableSequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from tvm import relax
from tvm.ir import GenericConst


@dataclass
class Node:
    """A node while it is imported.

    name: of the operator.
    inputs: expressions, None where an operand is left out.
    attrs: by name.
    opset: the operator set in whose form it is.
    builder: of the function that is being made.
    """

    name: str
    inputs: MutableSequence[Any]
    attrs: dict[str, Any]
    opset: int
    builder: relax.BlockBuilder
    result: relax.Expr | None = None  # of a node that a rule has converted itself

    def operands(self, *values: Any) -> None:
        """Replace all operands behind the first; arrays become constants."""
        self.inputs[1:] = [
            relax.const(value, str(value.dtype)) if isinstance(value, np.ndarray) else value
            for value in values
        ]


Rule = Callable[[Node], None]
SHRINKING_ROUNDS_UP = b"shrinking_rounds_up"
"""The `nearest_mode` of old sets, which have no such attribute; see `resize`."""


def in_newer_form(node: Node) -> None:
    """Apply the rule for `node`, if its operator set has one."""
    until, rule = RULES.get(node.name, (0, None))
    if rule is not None and node.opset < until:
        rule(node)


def shape_of(expr: Any) -> list[int]:
    """The lengths of a tensor's axes."""
    return [int(length) for length in expr.ty.shape]


def reshaped(expr: Any, shape: list[int], builder: relax.BlockBuilder) -> relax.Expr:
    """`expr` in another shape; a constant stays one."""
    if isinstance(expr, GenericConst):
        values = expr.value.numpy().reshape(shape)
        return relax.const(values, str(values.dtype))  # else 64 bits become 32
    return builder.emit(relax.op.reshape(expr, shape))


def numbers(expr: Any, what: str) -> np.ndarray:
    """The values of a constant; ``ValueError`` says that `what` is computed."""
    if not isinstance(expr, GenericConst):
        raise ValueError(f"its {what} are computed at run time; they must be constants")
    return expr.value.numpy()


def _aligned(node: Node) -> None:
    """Broadcasting with `axis`: the second operand's first axis is that one of the first."""
    axis = node.attrs.pop("axis", None)
    if not node.attrs.pop("broadcast", 0) or axis is None:
        return
    rank, other = len(shape_of(node.inputs[0])), shape_of(node.inputs[1])
    behind = rank - int(axis) % rank - len(other)
    if behind < 0:
        raise ValueError(f"{len(other)} axes from axis {axis} on, of {rank}")
    node.inputs[1] = reshaped(node.inputs[1], other + [1] * behind, node.builder)


def _batch_normalization(node: Node) -> None:
    """With `spatial` 0 each element has parameters of its own."""
    if node.attrs.pop("spatial", 1):
        return
    data, scale, bias, mean, variance = node.inputs[:5]
    small = relax.const(node.attrs.get("epsilon", 1e-5), str(data.ty.dtype))
    factor = relax.op.divide(scale, relax.op.sqrt(relax.op.add(variance, small)))
    scaled = relax.op.multiply(relax.op.subtract(data, mean), factor)
    node.result = relax.op.add(scaled, bias)


def _cast(node: Node) -> None:
    to = node.attrs["to"]
    if isinstance(to, bytes):
        node.attrs["to"] = onnx.TensorProto.DataType.Value(to.decode().upper())


def _clip(node: Node) -> None:
    kind = str(node.inputs[0].ty.dtype)
    bounds = [node.attrs.pop(name, None) for name in ("min", "max")]
    node.operands(*(None if bound is None else np.array(bound, kind) for bound in bounds))
    node.opset = 11


def _concat(node: Node) -> None:
    node.attrs.setdefault("axis", 1)


def _pad(node: Node) -> None:
    amounts = node.attrs.pop("paddings", None) or node.attrs.pop("pads", ())
    value = np.array(node.attrs.pop("value", 0.0), str(node.inputs[0].ty.dtype))
    node.operands(np.array(amounts, np.int64), value)
    node.opset = 11


def _prelu(node: Node) -> None:
    """A slope a channel, where newer sets align it with the last axis."""
    slope = shape_of(node.inputs[1])
    rank = len(shape_of(node.inputs[0]))
    if len(slope) == 1 and rank > 1:
        node.inputs[1] = reshaped(node.inputs[1], slope + [1] * (rank - 2), node.builder)


def _reshape(node: Node) -> None:
    node.operands(np.array(node.attrs.pop("shape", ()), np.int64))


def resized(node: Node) -> None:
    """Upsample, and Resize of set 10: positions are divided by the scale, and rounded down.

    Where an image becomes smaller they are rounded up, as ONNX Runtime does.
    """
    attrs = node.attrs
    if node.name == "Upsample" and node.opset < 7:
        height, width = attrs.pop("height_scale"), attrs.pop("width_scale")
        scales = np.array([1, 1, height, width], np.float32)
    elif node.name == "Upsample" and node.opset < 9:
        scales = np.array(attrs.pop("scales"), np.float32)
    else:
        scales = numbers(node.inputs[1], "scales")
    if attrs.get("mode") == b"bilinear":
        attrs["mode"] = b"linear"
    node.name, node.opset = "Resize", 11
    node.operands(None, np.asarray(scales, np.float32))
    attrs["coordinate_transformation_mode"] = b"asymmetric"
    if attrs.get("mode", b"nearest") == b"nearest":
        attrs["nearest_mode"] = SHRINKING_ROUNDS_UP


def _selu(node: Node) -> None:
    node.attrs.setdefault("alpha", 1.6732)
    node.attrs.setdefault("gamma", 1.0507)


def _slice(node: Node) -> None:
    starts, ends = (np.array(node.attrs.pop(name), np.int64) for name in ("starts", "ends"))
    axes = node.attrs.pop("axes", range(len(starts)))
    node.operands(starts, ends, np.array(axes, np.int64))
    node.opset = 10


def _softmax(node: Node) -> None:
    """A quantized one says itself in which set's form it is, whatever the model's."""
    node.opset = int(node.attrs.pop("opset", node.opset))


def _split(node: Node) -> None:
    if len(node.inputs) > 1 and node.inputs[1] is not None:
        node.attrs["split"] = tuple(numbers(node.inputs[1], "lengths").tolist())
        node.operands()


def _tile(node: Node) -> None:
    repeats = np.ones(len(shape_of(node.inputs[0])), np.int64)
    times, axis = (int(numbers(node.inputs[i], "tiles and axis").item()) for i in (1, 2))
    repeats[axis] = times
    node.operands(repeats)


def _top_k(node: Node) -> None:
    if node.opset == 10:  # the operand, but neither `largest` nor `sorted`
        node.opset = 11


RULES: dict[str, tuple[int, Rule]] = {
    # operator: the set whose definition the importer reads, and what older nodes need
    **dict.fromkeys(
        "Add And Div Equal Greater Less Mul Or Pow Sub Xor".split(),
        (7, _aligned),
    ),
    "BatchNormalization": (9, _batch_normalization),
    "Cast": (6, _cast),
    "Clip": (11, _clip),
    "Concat": (4, _concat),
    "PRelu": (7, _prelu),
    "Pad": (11, _pad),
    "Reshape": (5, _reshape),
    "Resize": (11, resized),
    "Selu": (6, _selu),
    "Slice": (10, _slice),
    "Softmax": (1000, _softmax),
    "Split": (2, _split),
    "Tile": (6, _tile),
    "TopK": (11, _top_k),
    "Upsample": (1000, resized),
}
