"""Which operators move elements, or pick the largest or smallest of some, without calculating.

What they compute is the same before and after an increasing function of each element, such as
quantization with one scale.  Every phase that exchanges something with them asks here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..ir.dataflow import is_call
from ..operators.rules.registry import Rules

MOVES: Rules[Callable[[Any], bool]] = Rules("moves")
"""Whether every element of a call's result is an element of a tensor operand."""


def always(_call: Any) -> bool:
    """Whatever the attributes of the call."""
    return True


def is_move(expr: Any) -> bool:
    """True if every element of the result is an element of a tensor operand."""
    rule = MOVES.get(expr)
    return rule is not None and rule(expr)


def pads_with_constant(expr: Any) -> bool:
    """True for a padding whose elements come from outside: a move, once its value is translated."""
    return is_call(expr, "relax.nn.pad") and expr.attrs.pad_mode == "constant"


def pad_value(call: Any) -> float:
    """The value of a padding with a constant."""
    return float(getattr(call.attrs.pad_value, "value", call.attrs.pad_value))
