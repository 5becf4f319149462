"""Operators that a reorganized network keeps, as PyTorch expressions.

Where PyTorch has the operator for images, it is called.  Elsewhere tensors lie as in the module,
channels last, with one more axis in front for the batch: images and vectors are brought there and
back.
"""

from __future__ import annotations

from collections.abc import Sequence

from dero_tvm.boundary.errors import UserError
from relax_passes.reorganization.description import KeptOperator

from .kept_in_layout import BROADCAST, IN_LAYOUT, Attributes
from .kept_on_images import ON_IMAGES

_TRAINED = ("conv2d", "conv2d_transpose", "dense", "prelu")
_IN_ATTRIBUTES = ("take",)  # what their constants say stands in their attributes, too

_OF_INTEGERS = "it computes with integers, and a quantized network cannot be trained"
_WITH_STATE = "PyTorch's cells keep their states in another way"
_MADE_LATER = "the compiler makes it of others when residuals have been looked for"
NOT_WRITTEN = {
    **dict.fromkeys(
        (
            "dequantize",
            "dequantize_bias",
            "flip_sign_bit",
            "integer_binary",
            "lookup",
            "quantize",
            "requantize",
            "sigmoid",
            "squared_difference",
        ),
        _OF_INTEGERS,
    ),
    **dict.fromkeys(("gru", "lstm", "svdf_filter", "svdf_update"), _WITH_STATE),
    **dict.fromkeys(
        (
            "conv2d_add",
            "conv2d_multiply",
            "conv2d_subtract",
            "dense_add",
            "dense_multiply",
            "dense_subtract",
            "part",
            "shortcut_conv2d",
            "transpose_in_place",
        ),
        _MADE_LATER,
    ),
    "arg_extreme": "it gives places, not values, through which nothing can be trained",
    "cast": "it gives whole numbers, through which nothing can be trained",
}
"""Why an operator of the set has no PyTorch expression."""


def is_trained(node: KeptOperator, place: int, shape: Sequence[int]) -> bool:
    """Whether the constant at a place is a weight; single numbers are part of a formula."""
    if node.operator == "compare" or (node.operator, place) == ("select", 0):
        return False  # no gradient comes through truth values
    return node.operator in _TRAINED or any(length > 1 for length in shape)


def read_constants(node: KeptOperator) -> Sequence[tuple[int, tuple[int, ...]]]:
    """Place and shape of the constants that the expression has operands for."""
    return () if node.operator in _IN_ATTRIBUTES else node.constants


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
        An expression for each of its `read_constants`, which lie as in the module.

    Raises
    ------
    UserError
        If PyTorch has no such operator.
    """
    attributes: Attributes = dict(node.attributes)
    if node.operator in ON_IMAGES:
        return _on_image(node, attributes, operands[0], kinds[0], constants)
    rule = IN_LAYOUT.get(node.operator)
    if rule is None:
        why = NOT_WRITTEN.get(node.operator, "")
        raise UserError(
            f"{node.title}: {node.operator} cannot be written in PyTorch{why and f': {why}'}"
        )
    arguments: dict[int, str] = {}
    shapes: dict[int, tuple[int, ...]] = {}
    rank = len(node.literal_shape)
    for place, operand, kind, shape in zip(node.places, operands, kinds, node.input_shapes):
        arguments[place] = _literal(operand, kind)
        shapes[place] = shape
    for (place, _), constant in zip(read_constants(node), constants):
        arguments[place] = constant
    if node.operator in BROADCAST:
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


def _on_image(
    node: KeptOperator,
    attributes: Attributes,
    operand: str,
    kind: str,
    constants: Sequence[str],
) -> str:
    """A function of PyTorch's on one image, or on those that the module has in one tensor."""
    if kind == "image":
        return _clamped(ON_IMAGES[node.operator](node, attributes, operand, constants), attributes)
    images = f"{operand}.flatten(0, 1).permute(0, 3, 1, 2)"
    result = _clamped(ON_IMAGES[node.operator](node, attributes, images, constants), attributes)
    if not node.literal:
        return result
    return f"({result}).permute(0, 2, 3, 1).unflatten(0, (-1, {node.literal_shape[0]}))"


def _literal(operand: str, kind: str) -> str:
    """A tensor with the axes that it has in the module, behind that of the batch."""
    if kind == "image":
        return f"{operand}.permute(0, 2, 3, 1).unsqueeze(1)"
    if kind == "vector":
        return f"{operand}.unsqueeze(1)"
    return operand


def _of_rank(operand: str, shape: tuple[int, ...], rank: int) -> str:
    return operand + "".join(".unsqueeze(1)" for _ in range(rank - len(shape)))


def _clamped(result: str, attributes: Attributes) -> str:
    limits = [("min", attributes.get("minimum")), ("max", attributes.get("maximum"))]
    given = [f"{name}={limit!r}" for name, limit in limits if limit is not None]
    return f"({result}).clamp({', '.join(given)})" if given else result
