"""Truth values of two broadcast tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm.script import tirx as T

from .elementwise import BinaryOperator
from .fixed_point import ACTIVATIONS
from .integer_binary import TYPES as WHOLE_NUMBERS
from .operand_checks import check_choices
from .registry import REQUIRED, register
from .signature import Signature, TensorSpec

FUNCTIONS: dict[str, Callable[[Any, Any], Any]] = {
    "equal": lambda a, b: a.equal(b),
    "not_equal": lambda a, b: ~a.equal(b),
    "greater": lambda a, b: a > b,
    "greater_equal": lambda a, b: a >= b,
    "less": lambda a, b: a < b,
    "less_equal": lambda a, b: a <= b,
    "logical_and": lambda a, b: T.And(a, b),
    "logical_or": lambda a, b: T.Or(a, b),
}
_OF_TRUTH_VALUES = ("logical_and", "logical_or")


@register
class Compare(BinaryOperator):
    """Whether ``function`` holds for two elements of one type: bool.

    int8 operands have one scale and zero point.  NaN is equal to nothing, as in IEEE 754.
    """

    name = "compare"
    dtypes = ("float32", *ACTIVATIONS, *WHOLE_NUMBERS, "bool")
    defaults = {"function": REQUIRED}

    def infer(self, inputs: tuple[TensorSpec, ...], attrs: dict[str, Any]) -> TensorSpec:
        check_choices(self.name, attrs, function=FUNCTIONS)
        result = super().infer(inputs, attrs)
        if attrs["function"] in _OF_TRUTH_VALUES and result.dtype != "bool":
            raise ValueError(f"compare: {attrs['function']} takes bool, got {result.dtype}")
        return TensorSpec(result.shape, "bool")

    def arithmetic(self, signature: Signature) -> Callable[[Any, Any], Any]:
        function = FUNCTIONS[signature["function"]]
        numbers = signature["function"] not in _OF_TRUTH_VALUES
        if numbers and signature.inputs[0].dtype == "bool":  # LLVM compares no truth values
            return lambda a, b: function(T.Cast("int8", a), T.Cast("int8", b))
        return function
