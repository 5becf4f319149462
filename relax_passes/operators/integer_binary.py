"""Arithmetic of two tensors of integers that stand for themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import tirx
from tvm.script import tirx as T

from .elementwise import BinaryOperator
from .fixed_point import hold
from .operand_checks import check_choices
from .registry import REQUIRED, register
from .signature import Signature, TensorSpec

TYPES = ("int32", "int64")


Function = Callable[[Any, Any, str], Any]  # of two elements and their type


def _wrapping(function: Callable[[Any, Any], Any]) -> Function:
    """Without signs, where C lets integers wrap around."""

    def compute(a: Any, b: Any, dtype: str) -> Any:
        unsigned = f"u{dtype}"
        return T.cast(function(T.cast(a, unsigned), T.cast(b, unsigned)), dtype)

    return compute


def _dividing(function: Callable[[Any, Any], Any]) -> Function:
    """By 1 in place of 0."""

    def compute(a: Any, b: Any, dtype: str) -> Any:
        b = hold("divisor", b, dtype)
        return function(a, T.Select(b == 0, tirx.const(1, dtype), b))

    return compute


FUNCTIONS: dict[str, Function] = {
    "add": _wrapping(lambda a, b: a + b),
    "subtract": _wrapping(lambda a, b: a - b),
    "multiply": _wrapping(lambda a, b: a * b),
    "divide": _dividing(T.truncdiv),
    "floor_divide": _dividing(T.floordiv),
    "floor_mod": _dividing(T.floormod),
    "mod": _dividing(T.truncmod),
    "maximum": lambda a, b, dtype: T.max(a, b),
    "minimum": lambda a, b, dtype: T.min(a, b),
}


@register
class IntegerBinary(BinaryOperator):
    """``function`` of two elements of int32 or int64, broadcast.

    Sums and products wrap around; quotients are cut off, and x / 0 is x.
    """

    name = "integer_binary"
    dtypes = TYPES
    defaults = {"function": REQUIRED}

    def infer(self, inputs: tuple[TensorSpec, ...], attrs: dict[str, Any]) -> TensorSpec:
        check_choices(self.name, attrs, function=FUNCTIONS)
        return super().infer(inputs, attrs)

    def arithmetic(self, signature: Signature) -> Callable[[Any, Any], Any]:
        function, dtype = FUNCTIONS[signature["function"]], signature.output.dtype
        return lambda a, b: function(a, b, dtype)
