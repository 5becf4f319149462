"""`FoldConstants`: compute at compile time what does not depend on an input, drop identities.

A quantized constant stays quantized: ``reshape(dequantize(c))`` becomes ``dequantize(c')`` with
the integers (and their scales) moved, because integer arithmetic needs them later.  TVM's own
folding would leave floats.

Identities that go: a reshape, broadcast, slice, transpose or cast that changes nothing, a
concatenation of one, padding by nothing, ``x + 0``, ``x - 0``, ``x * 1``, ``x / 1``, a clip to
everything.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import tvm
from tvm import relax
from tvm.ir import Call, GenericConst, Op

from ..ir.constant_tensor import DEQUANTIZES, ConstantTensor, exact_constant
from ..ir.dataflow import DataflowRewriter, dtype_of, is_call, shape_of, with_operands
from ..ir.rewriting_pass import rewriting_pass
from ..ir.straight_line import operands_of
from ..ir.unfinished import abandoned_on_failure
from ..operators.rules.registry import Rules

NAME = "FoldConstants"

CONSTANT_MOVES: Rules[Callable[[Any, ConstantTensor], ConstantTensor]] = Rules("constant moves")
"""The value of a call that moves the elements of a constant, which may be quantized."""

CONSTANT_ARITHMETIC: Rules[Callable[..., np.ndarray]] = Rules("constant arithmetic")
"""The NumPy function that computes what a call on constants does; without one, TVM computes it."""

IDENTITIES: Rules[Callable[[Any], bool]] = Rules("identities")
"""Whether a call whose result has its first operand's shape and type returns that operand."""

NEUTRAL: Rules[float] = Rules("neutral elements")
"""The number with which an operator of two operands returns the other one."""

_FILLED = {  # with this number, or with the second operand
    "relax.zeros": 0,
    "relax.zeros_like": 0,
    "relax.ones": 1,
    "relax.ones_like": 1,
    "relax.full": None,
    "relax.full_like": None,
}
_MOST_BYTES = 1 << 28  # of a result that is larger than every constant of the module


class _Rewriter(DataflowRewriter):
    def __init__(self, module: tvm.IRModule) -> None:
        super().__init__(module)
        self.values: dict[relax.Var, ConstantTensor] = {}
        self._most_bytes = max(_MOST_BYTES, _largest_constant(module))

    def rewrite(self, var: relax.Var, expr: relax.Expr) -> relax.Expr | None:
        if isinstance(expr, (relax.Var, GenericConst)):
            return self._known(var, expr) if self._value(expr) else self.new(expr)
        if is_call(expr, *DEQUANTIZES):
            return self._quantized(var, expr)
        if isinstance(expr, Call) and isinstance(expr.op, Op):
            constant = self._fold(expr)
            if constant is not None:
                self.values[var] = constant
                return constant.expr()
            return self._identity(expr)
        return None

    # --- constants ---------------------------------------------------------------------------

    def _value(self, expr: Any) -> ConstantTensor | None:
        if isinstance(expr, relax.Var):
            return self.values.get(expr)
        return ConstantTensor(expr.value.numpy()) if isinstance(expr, GenericConst) else None

    def _known(self, var: relax.Var, expr: relax.Expr) -> relax.Expr:
        value = self._value(expr)
        assert value is not None
        self.values[var] = value
        return self.new(expr)

    def _quantized(self, var: relax.Var, call: Any) -> relax.Expr | None:
        parts = [self._value(arg) for arg in call.args]
        if any(part is None or part.is_quantized for part in parts):
            return None
        constant = ConstantTensor.dequantized(call, [part.values for part in parts if part])
        self.values[var] = constant
        return constant.expr()

    def _fold(self, call: Any) -> ConstantTensor | None:
        if call.op.name in ("relax.shape_to_tensor", "relax.size"):
            return _shape_as_constant(call)
        if call not in CONSTANT_MOVES and _bytes_of(call.ty) > self._most_bytes:
            return None  # a few bytes can ask for a constant of any size
        if call.op.name == "relax.arange":
            return _range(call)
        if call.op.name in _FILLED:
            return self._filled(call)
        tensors = [o for o in operands_of(call) if isinstance(o, (relax.Var, GenericConst))]
        if not tensors or any(isinstance(t, relax.Var) and t not in self.values for t in tensors):
            return None  # before any constant is read: that copies it out of TVM
        known = [constant for constant in map(self._value, tensors) if constant is not None]
        move, arithmetic = CONSTANT_MOVES.get(call), CONSTANT_ARITHMETIC.get(call)
        if move is not None:
            return move(call, known[0])
        if arithmetic is not None:
            result = arithmetic(*(constant.real() for constant in known))
            return ConstantTensor(np.asarray(result, dtype=dtype_of(call)))
        if call.op.name == "relax.astype":
            return ConstantTensor(known[0].real().astype(dtype_of(call)))
        return self._evaluate(call)

    def _filled(self, call: Any) -> ConstantTensor | None:
        number: Any = _FILLED[call.op.name]
        if number is None:
            filling = self._value(call.args[1])
            if filling is None:
                return None
            number = filling.real()
        return ConstantTensor(np.full(shape_of(call), number, dtype_of(call)))

    def _evaluate(self, call: Any) -> ConstantTensor | None:
        """The value of a call on constants, computed by TVM; None if TVM cannot."""
        if not isinstance(call.ty, relax.TensorType) or call.op.name.startswith("dero."):
            return None

        def real(expr: Any) -> Any:
            if isinstance(expr, relax.Tuple):
                return with_operands(expr, real)
            value = self._value(expr)
            return expr if value is None else exact_constant(value.real())

        builder = relax.BlockBuilder()
        with abandoned_on_failure(builder), builder.function("main", []):
            with builder.dataflow():
                value = builder.emit_output(with_operands(call, real))
            builder.emit_func_output(value)
        result = relax.transform.FoldConstant()(builder.finalize())["main"].body.body
        return ConstantTensor(result.value.numpy()) if isinstance(result, GenericConst) else None

    # --- identities --------------------------------------------------------------------------

    def _identity(self, call: Any) -> relax.Expr | None:
        """The operand that the call returns unchanged, or None."""
        if is_call(call, "relax.concat"):
            fields = self.old.definition(call.args[0])
            single = isinstance(fields, relax.Tuple) and len(fields.fields) == 1
            return self.new(fields.fields[0]) if single else None
        neutral, unchanged = NEUTRAL.get(call), IDENTITIES.get(call)
        if neutral is not None:
            return self._neutral_operand(call, neutral)
        if unchanged is None:
            return None
        source = call.args[0]
        same = isinstance(source, (relax.Var, GenericConst)) and (
            shape_of(source) == shape_of(call) and dtype_of(source) == dtype_of(call)
        )
        return self.new(source) if same and unchanged(call) else None

    def _neutral_operand(self, call: Any, neutral: float) -> relax.Expr | None:
        left, right = call.args
        pairs = [(left, right)]
        if call.op.name in ("relax.add", "relax.multiply"):
            pairs.append((right, left))
        for operand, other in pairs:
            value = self._value(other)
            if value is None or shape_of(operand) != shape_of(call):
                continue
            if value.values.size and (value.real() == neutral).all():
                return self.new(operand)
        return None


FoldConstants = rewriting_pass(NAME, _Rewriter)
"""Module pass: see the file's docstring."""


def _largest_constant(module: tvm.IRModule) -> int:
    """Bytes of the largest constant in ``main``."""
    largest = [0]

    def visit(expr: Any) -> None:
        if isinstance(expr, GenericConst):
            largest.append(_bytes_of(expr.ty))

    relax.analysis.post_order_visit(module["main"], visit)
    return max(largest)


def _bytes_of(ty: Any) -> int:
    """Of a tensor whose shape and type are known; 0 for everything else."""
    dims = getattr(getattr(ty, "shape", None), "values", None)
    if dims is None or not all(isinstance(dim, tvm.tirx.IntImm) for dim in dims):
        return 0
    itemsize = int(tvm.DataType(str(ty.dtype)).itemsize)
    return math.prod(int(dim) for dim in dims) * itemsize


def _shape_as_constant(call: Any) -> ConstantTensor | None:
    """The shape, or the number of elements, of a tensor whose shape is known."""
    if call.op.name == "relax.size":
        dims = shape_of(call.args[0])
        return ConstantTensor(np.asarray(math.prod(dims), dtype=dtype_of(call)))
    values = call.args[0].ty.values
    if values is None or not all(isinstance(value, tvm.tirx.IntImm) for value in values):
        return None
    return ConstantTensor(np.asarray([int(value) for value in values], dtype=dtype_of(call)))


def _range(call: Any) -> ConstantTensor | None:
    """The values of an `arange` whose operands are numbers."""
    start, stop, step = (getattr(argument, "value", None) for argument in call.args)
    if start is None or stop is None or step is None:
        return None
    return ConstantTensor(np.arange(start, stop, step).astype(dtype_of(call)))


def permutation(call: Any) -> tuple[int, ...]:
    """The axes of a `permute_dims` (reversed if it names none)."""
    rank = len(shape_of(call.args[0]))
    if call.attrs.axes is None:
        return tuple(reversed(range(rank)))
    return tuple(int(axis) % rank for axis in call.attrs.axes)


def clip_bounds(call: Any) -> tuple[float, float]:
    """The bounds of a `clip`."""
    low, high = (float(getattr(arg, "value", arg)) for arg in call.args[1:])
    return low, high
