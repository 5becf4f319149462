"""Pieces of a graph that compute one function of one variable, element by element.

``x * sigmoid(x)``, ``x * clip(x + 3, 0, 6) / 6`` and their likes are written with several
operators.  An :class:`Region` is such a piece: every value in it depends on one tensor and on
constants with a single element, and only its last value is read outside.  It can be evaluated on
any numbers, so it can be tabulated (int8) or compared with known functions (float32).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from tvm import relax
from tvm.ir import Call

from ..ir.constant_tensor import ConstantTensor
from ..ir.dataflow import Dataflow, is_call, shape_of, variables_of
from .fold_constants import clip_bounds

_LARGEST = 12  # operators in a region; the longest activation in use (GELU by tanh) has 9

_erf = np.vectorize(math.erf, otypes=[np.float64])


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-x))


def _gelu_tanh(x: np.ndarray) -> np.ndarray:
    return 0.5 * x * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))


_UNARY: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "relax.abs": np.abs,
    "relax.ceil": np.ceil,
    "relax.cos": np.cos,
    "relax.erf": _erf,
    "relax.exp": np.exp,
    "relax.floor": np.floor,
    "relax.log": np.log,
    "relax.negative": np.negative,
    "relax.nn.gelu": lambda x: 0.5 * x * (1.0 + _erf(x * math.sqrt(0.5))),
    "relax.nn.gelu_tanh": _gelu_tanh,
    "relax.nn.relu": lambda x: np.maximum(x, 0.0),
    "relax.nn.silu": lambda x: x * _sigmoid(x),
    "relax.round": np.rint,
    "relax.rsqrt": lambda x: 1.0 / np.sqrt(x),
    "relax.sigmoid": _sigmoid,
    "relax.sign": np.sign,
    "relax.sin": np.sin,
    "relax.sqrt": np.sqrt,
    "relax.square": np.square,
    "relax.tanh": np.tanh,
}
_BINARY: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "relax.add": np.add,
    "relax.divide": np.divide,
    "relax.maximum": np.maximum,
    "relax.minimum": np.minimum,
    "relax.multiply": np.multiply,
    "relax.power": np.power,
    "relax.subtract": np.subtract,
}


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
                values[member] = np.asarray(_evaluate(call, operand)).astype(x.dtype)
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
    names = (*_UNARY, *_BINARY, "relax.clip", "relax.nn.leakyrelu")
    if not is_call(call, *names) or "float" not in str(call.ty.dtype):
        return None
    operands = []
    for arg in variables_of(call) if is_call(call, "relax.clip") else call.args:
        constant = old.constant(arg)
        if constant is not None:
            if constant.values.size != 1:
                return None
        elif shape_of(arg) != shape_of(call) or not isinstance(arg, relax.Var):
            return None
        else:
            operands.append(arg)
    return operands or None


def _evaluate(call: Call, operand: Callable[[relax.Expr], np.ndarray]) -> np.ndarray:
    if is_call(call, "relax.clip"):
        return np.clip(operand(call.args[0]), *clip_bounds(call))
    if is_call(call, "relax.nn.leakyrelu"):
        x = operand(call.args[0])
        return np.where(x >= 0, x, x * float(np.float32(call.attrs.alpha)))
    if is_call(call, *_UNARY):
        return _UNARY[call.op.name](operand(call.args[0]))
    return _BINARY[call.op.name](*(operand(arg) for arg in call.args))
