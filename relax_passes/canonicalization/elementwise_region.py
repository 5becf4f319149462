"""Pieces of a graph that compute one function of one variable, element by element.

``x * sigmoid(x)``, ``x * clip(x + 3, 0, 6) / 6`` and their likes are written with several
operators.  An :class:`Region` is such a piece: every value in it depends on one tensor and on
constants with a single element, and only its last value is read outside.  It can be evaluated on
any numbers, so it can be tabulated (int8) or compared with known functions (float32).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from tvm import relax

from ..ir.constant_tensor import ConstantTensor
from ..ir.dataflow import Dataflow, shape_of
from ..operators.rules.registry import Rules

_LARGEST = 12  # operators in a region; the longest activation in use (GELU by tanh) has 9

VALUES: Rules[Callable[..., np.ndarray]] = Rules("elementwise regions")
"""What a call computes, from the call and the numbers of each operand."""


@dataclass(frozen=True)
class Region:
    """`members` in their written order, the last of which is the region's result."""

    old: Dataflow
    source: relax.Var
    members: tuple[relax.Var, ...]

    @property
    def calls(self) -> list[Any]:
        return [self.old.definitions[member] for member in self.members]

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """The region's value for real inputs `x`, each operator's result rounded to their type.

        For float32 that is what a program computes that runs the operators one after the other: a
        float64 result of float32 operands, rounded, is the float32 result.
        """
        values = {self.source: np.asarray(x)}

        def operand(expr: relax.Expr) -> np.ndarray:
            if isinstance(expr, relax.Var) and expr in values:
                return values[expr].astype(np.float64)
            return self.scalar(expr).real().astype(np.float64).reshape(())

        with np.errstate(all="ignore"):
            for member, call in zip(self.members, self.calls):
                rule = VALUES.get(call)
                assert rule is not None  # what `_operands` checked
                value = rule(call, *(operand(arg) for arg in _tensors(call)))
                values[member] = np.asarray(value).astype(x.dtype)
        return values[self.members[-1]]

    def scalar(self, expr: relax.Expr) -> ConstantTensor:
        """The constant operand `expr`, which has one element."""
        constant = self.old.constant(expr)
        assert constant is not None  # what `_operands` checked
        return constant


def regions_ending_at(old: Dataflow, last: relax.Var) -> Iterator[Region]:
    """Regions whose result is `last`, from the smallest to the largest."""
    position = old.position
    members: set[relax.Var] = set()
    frontier = {last}
    while len(members) < _LARGEST:
        candidates = [var for var in frontier if var in position]
        if not candidates:
            return
        newest = max(candidates, key=position.__getitem__)
        operands = _operands(old, newest)
        interior = newest.same_as(last) or all(
            reader in members for reader in old.readers.get(newest, [])
        )
        if operands is None or not interior:
            return
        members.add(newest)
        frontier.remove(newest)
        frontier.update(operands)
        if len(frontier) == 1:
            (source,) = frontier
            yield Region(old, source, tuple(sorted(members, key=position.__getitem__)))


def _operands(old: Dataflow, var: relax.Var) -> list[relax.Var] | None:
    """The tensors an elementwise operator reads; None if it is none or broadcasts."""
    call = old.definitions[var]
    if call not in VALUES or not str(call.ty.dtype).startswith(("float", "bool")):
        return None
    operands = []
    for arg in _tensors(call):
        constant = old.constant(arg)
        if constant is not None:
            if constant.values.size != 1:
                return None
        elif shape_of(arg) != shape_of(call) or not isinstance(arg, relax.Var):
            return None
        else:
            operands.append(arg)
    return operands or None


def _tensors(call: Any) -> list[relax.Expr]:
    """The operands that are tensors: bounds of a clip are none."""
    return [arg for arg in call.args if isinstance(getattr(arg, "ty", None), relax.TensorType)]
