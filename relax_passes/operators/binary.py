"""Division, power, maximum and minimum: operators of two operands without fixed-point scales."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm.script import tirx as T

from . import fixed_point
from .elementwise import BinaryOperator
from .registry import register
from .signature import Signature


class _Plain(BinaryOperator):
    """Base of operators that compute in the operands' own type and then clamp."""

    defaults = {"minimum": None, "maximum": None}

    combine: Callable[[Any, Any], Any]
    """The result for one pair of elements, as a TIR expression."""

    def arithmetic(self, signature: Signature) -> Callable[[Any, Any], Any]:
        low, high = signature["minimum"], signature["maximum"]
        dtype = signature.output.dtype
        return lambda a, b: fixed_point.clamp(self.combine(a, b), low, high, dtype)


@register
class Divide(_Plain):
    """Quotient of two float32 tensors, broadcast, with a fused clamp."""

    name = "divide"
    dtypes = ("float32",)
    combine = staticmethod(lambda a, b: a / b)


@register
class Power(_Plain):
    """``a`` to the power of ``b``, float32, broadcast, with a fused clamp."""

    name = "power"
    dtypes = ("float32",)
    combine = staticmethod(T.pow)


@register
class Maximum(_Plain):
    """Larger of two elements, broadcast, with a fused clamp.

    Integer operands and the result have one scale and zero point.
    """

    name = "maximum"

    combine = staticmethod(T.max)


@register
class Minimum(_Plain):
    """Smaller of two elements, broadcast, with a fused clamp.

    Integer operands and the result have one scale and zero point.
    """

    name = "minimum"

    combine = staticmethod(T.min)
