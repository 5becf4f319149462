"""Operators that a reorganized network keeps, as PyTorch expressions.

Where PyTorch has the operator for images, it is called.  Elsewhere tensors lie as in the module,
channels last, with one more axis in front for the batch: images and vectors are brought there and
back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from dero_tvm.boundary.errors import UserError
from relax_passes.operators.depth_to_space import block_of
from relax_passes.reorganization.description import KeptOperator

_BINARY = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "power": "**"}
_EXTREMES = {"maximum": "torch.maximum", "minimum": "torch.minimum"}
_REDUCTIONS = {"mean": "mean", "sum": "sum", "max": "amax", "min": "amin"}
_TRAINED = ("conv2d", "conv2d_transpose", "dense", "prelu")
_Attributes = dict[str, Any]


def is_trained(node: KeptOperator, shape: Sequence[int]) -> bool:
    """Whether a constant of this shape is a weight; single numbers are part of a formula."""
    return node.operator in _TRAINED or any(length > 1 for length in shape)


def kept_expression(
    node: KeptOperator,
    operands: Sequence[str],
    kinds: Sequence[str],
    constants: Sequence[str],
) -> str:
    """The result of a kept operator, as an image, a vector or literally.

    Parameters
    ----------
    node
        The operator.
    operands, kinds
        An expression for each of its inputs, and what that is: ``image``, ``vector``, ``literal``.
    constants
        An expression for each of its constants, which lie as in the module.

    Raises
    ------
    UserError
        If PyTorch has no such operator.
    """
    attributes: _Attributes = dict(node.attributes)
    image = _IMAGES.get(node.operator)
    if image is not None and kinds[0] == "image":
        result = image(node, attributes, operands[0], constants)
        return _clamped(result, attributes)
    rule = _LITERALS.get(node.operator)
    if rule is None:
        raise UserError(f"{node.title}: {node.operator} cannot be written in PyTorch")
    arguments: dict[int, str] = {}
    shapes: dict[int, tuple[int, ...]] = {}
    rank = len(node.literal_shape)
    for place, operand, kind, shape in zip(node.places, operands, kinds, node.input_shapes):
        arguments[place] = _literal(operand, kind)
        shapes[place] = shape
    for (place, _), constant in zip(node.constants, constants):
        arguments[place] = constant
    if node.operator in (*_BINARY, *_EXTREMES, "squared_difference", "prelu"):
        arguments = {
            place: _of_rank(text, shapes[place], rank) if place in shapes else text
            for place, text in arguments.items()
        }
    ordered = [arguments[place] for place in sorted(arguments)]
    result = _clamped(rule(node, attributes, ordered), attributes)
    if node.literal:
        return result
    if len(node.shape) == 3:
        return f"({result}).squeeze(1).permute(0, 3, 1, 2)"
    return f"({result}).squeeze(1)"


def _literal(operand: str, kind: str) -> str:
    """A tensor with the axes that it has in the module, behind that of the batch."""
    if kind == "image":
        return f"{operand}.permute(0, 2, 3, 1).unsqueeze(1)"
    if kind == "vector":
        return f"{operand}.unsqueeze(1)"
    return operand


def _of_rank(operand: str, shape: tuple[int, ...], rank: int) -> str:
    return operand + "".join(".unsqueeze(1)" for _ in range(rank - len(shape)))


def _reshaped(operand: str, shape: tuple[int, ...]) -> str:
    return f"{operand}.flatten(1).unflatten(1, {_tuple(shape)})"


def _tuple(numbers: Sequence[int]) -> str:
    return f"({', '.join(map(str, numbers))}{',' if len(numbers) == 1 else ''})"


def _clamped(result: str, attributes: _Attributes) -> str:
    limits = [("min", attributes.get("minimum")), ("max", attributes.get("maximum"))]
    given = [f"{name}={limit!r}" for name, limit in limits if limit is not None]
    return f"({result}).clamp({', '.join(given)})" if given else result


# --- as in the module --------------------------------------------------------------------------


def _binary(node: KeptOperator, _attributes: _Attributes, operands: Sequence[str]) -> str:
    first, second = operands
    if node.operator in _EXTREMES:
        return f"{_EXTREMES[node.operator]}({first}, {second})"
    if node.operator == "squared_difference":
        return f"({first} - {second}).square()"
    if node.operator == "prelu":
        return f"{first}.clamp(min=0.0) + {first}.clamp(max=0.0) * {second}"
    return f"{first} {_BINARY[node.operator]} {second}"


def _reshape(node: KeptOperator, attributes: _Attributes, operands: Sequence[str]) -> str:
    return _reshaped(operands[0], attributes["shape"])


def _transpose(node: KeptOperator, attributes: _Attributes, operands: Sequence[str]) -> str:
    axes = (0, *(axis + 1 for axis in attributes["axes"]))
    return f"{operands[0]}.permute{_tuple(axes)}"


def _slice(node: KeptOperator, attributes: _Attributes, operands: Sequence[str]) -> str:
    parts = [":"]
    for length, begin, end, step in zip(
        node.input_shapes[0],
        attributes["begin"],
        attributes["end"],
        attributes["strides"] or (1,) * len(attributes["begin"]),
    ):
        stop = "" if end >= length else str(end)
        by = "" if step == 1 else f":{step}"
        parts.append(f"{begin or ''}:{stop}{by}")
    return f"{operands[0]}[{', '.join(parts)}]"


def _concat(node: KeptOperator, attributes: _Attributes, operands: Sequence[str]) -> str:
    axis = attributes["axis"] % len(node.literal_shape) + 1
    return f"torch.cat(({', '.join(operands)}), dim={axis})"


def _reduce(node: KeptOperator, attributes: _Attributes, operands: Sequence[str]) -> str:
    rank = len(node.input_shapes[0])
    axes = tuple(axis % rank + 1 for axis in attributes["axes"])
    keep = "" if not attributes["keepdims"] else ", keepdim=True"
    return f"{operands[0]}.{_REDUCTIONS[attributes['kind']]}({_tuple(axes)}{keep})"


def _dense(node: KeptOperator, _attributes: _Attributes, operands: Sequence[str]) -> str:
    return f"functional.linear({', '.join(operands)})"


def _softmax(node: KeptOperator, attributes: _Attributes, operands: Sequence[str]) -> str:
    return f"{operands[0]}.{'log_' if attributes['logarithm'] else ''}softmax(-1)"


def _pad(node: KeptOperator, attributes: _Attributes, operands: Sequence[str]) -> str:
    pairs = zip(reversed(attributes["pad_before"]), reversed(attributes["pad_after"]))
    sides = _tuple([side for pair in pairs for side in pair])
    return f"functional.pad({operands[0]}, {sides}, value={float(attributes['value'])!r})"


def _take(node: KeptOperator, attributes: _Attributes, operands: Sequence[str]) -> str:
    before = ", ".join([":"] * (attributes["axis"] + 1))
    return f"{operands[0]}[{before}, {list(attributes['places'])}]"


_LITERALS: dict[str, Callable[[KeptOperator, _Attributes, Sequence[str]], str]] = {
    **dict.fromkeys((*_BINARY, *_EXTREMES, "squared_difference", "prelu"), _binary),
    "reshape": _reshape,
    "transpose": _transpose,
    "slice": _slice,
    "concat": _concat,
    "reduce": _reduce,
    "dense": _dense,
    "softmax": _softmax,
    "pad": _pad,
    "take": _take,
}


# --- on images ---------------------------------------------------------------------------------


def _conv2d(node: KeptOperator, a: _Attributes, x: str, constants: Sequence[str]) -> str:
    weight, bias = constants
    top, left, bottom, right = a["padding"]
    padding = f"({top}, {left})"
    if (top, left) != (bottom, right):
        x, padding = f"functional.pad({x}, ({left}, {right}, {top}, {bottom}))", "0"
    return (
        f"functional.conv2d({x}, {weight}.permute(0, 3, 1, 2), {bias}, {a['strides']}, "
        f"{padding}, {a['dilation']}, {a['groups']})"
    )


def _conv2d_transpose(node: KeptOperator, a: _Attributes, x: str, constants: Sequence[str]) -> str:
    weight, bias = constants
    top, left, bottom, right = a["padding"]
    extra, groups = a["output_padding"], a["groups"]
    weight += (
        ".permute(3, 0, 1, 2)"
        if groups == 1
        else f".unflatten(0, ({groups}, -1)).permute(0, 4, 1, 2, 3).flatten(0, 1)"
    )
    same = (top, left) == (bottom, right)
    padding = (top, left) if same else (0, 0)
    result = (
        f"functional.conv_transpose2d({x}, {weight}, {bias}, {a['strides']}, {padding}, {extra}, "
        f"{groups}, {a['dilation']})"
    )
    height, width, _ = node.shape
    return result if same else f"{result}[:, :, {top}:{top + height}, {left}:{left + width}]"


def _depth_to_space(node: KeptOperator, a: _Attributes, x: str, constants: Sequence[str]) -> str:
    rows, columns = block_of(a)
    channels = node.shape[-1]
    if a["order"] == "CRD":
        if rows == columns:
            return f"functional.pixel_shuffle({x}, {rows})"
        apart = f"{x}.unflatten(1, ({channels}, {rows}, {columns})).permute(0, 1, 4, 2, 5, 3)"
    else:
        apart = f"{x}.unflatten(1, ({rows}, {columns}, {channels})).permute(0, 3, 4, 1, 5, 2)"
    return f"{apart}.flatten(4).flatten(2, 3)"


def _resize_bilinear(node: KeptOperator, a: _Attributes, x: str, constants: Sequence[str]) -> str:
    old, size = node.input_shapes[0][1:3], tuple(a["size"])
    factors = tuple(new / length for new, length in zip(size, old))
    known = a["scale"] is None or tuple(a["scale"]) == factors
    corners = {"half_pixel": False, "pytorch_half_pixel": False, "align_corners": True}
    if a["coordinates"] not in corners or not known:
        raise UserError(
            f"{node.title}: PyTorch has no bilinear resizing with the coordinates "
            f"{a['coordinates']} by {factors[0]:g} and {factors[1]:g}"
        )
    aligned = corners[a["coordinates"]]
    return f'functional.interpolate({x}, {size}, mode="bilinear", align_corners={aligned})'


_IMAGES: dict[str, Callable[[KeptOperator, _Attributes, str, Sequence[str]], str]] = {
    "conv2d": _conv2d,
    "conv2d_transpose": _conv2d_transpose,
    "depth_to_space": _depth_to_space,
    "resize_bilinear": _resize_bilinear,
}
