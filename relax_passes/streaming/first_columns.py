"""The first columns of an operator's result, made by an operator of the same kind."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..operators import Signature, operator_of
from ..operators.element_map import ElementMap
from ..operators.elementwise import BinaryOperator

_BY_ELEMENT = (ElementMap, BinaryOperator)
_OF_WINDOWS = {"strides", "padding", "dilation"}  # attributes of what slides along a row


def first_columns(signature: Signature, columns: int) -> tuple[dict[str, Any], int] | None:
    """Attributes with which an operator makes so many columns of its result, NHWC, with their bits.

    Also how many of the first columns of its first operand it takes for them.  None if other
    operands have columns, too, or the operator is none of windows, and none that makes an element
    from an element.
    """
    operator, (data, *others) = operator_of(signature.operator), signature.inputs
    if operator is None or len(data.shape) != 4 or len(signature.output.shape) != 4:
        return None
    if not (isinstance(operator, _BY_ELEMENT) or signature.attrs.keys() >= _OF_WINDOWS):
        return None
    needed = [operator.needed_columns(signature, 0, column) for column in range(columns)]
    if any(each is None for each in needed):
        return None
    taken = max(1, *(each[1] for each in needed if each is not None))
    narrow = (replace(data, shape=(*data.shape[:2], taken, data.shape[3])), *others)
    wanted = (*signature.output.shape[:2], columns, signature.output.shape[3])
    for attrs in _with_less_padding(dict(signature.attrs)):
        try:
            found = operator.infer(narrow, attrs).shape
        except ValueError:
            continue
        if found == wanted:
            return attrs, taken
    return None


def _with_less_padding(attrs: dict[str, Any]) -> list[dict[str, Any]]:
    """The attributes with ever more padding at the right, at most as they have it."""
    if not attrs.keys() >= _OF_WINDOWS:
        return [attrs]
    top, left, bottom, right = attrs["padding"]
    return [attrs | {"padding": (top, left, bottom, after)} for after in range(right + 1)]
