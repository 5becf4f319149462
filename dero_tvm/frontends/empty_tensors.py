"""Tensors without elements that a network joins to others, or never uses, taken out.

    concat(a, empty, b)            ->  concat(a, b)
    concat(a, empty)               ->  a
    split(a, 0 and all rows)[1]    ->  a
    sum(empty), (a, 0) @ (0, b)    ->  zeros
    prod(empty)                    ->  ones
    pad(empty)                     ->  the value that it is padded with

Slices and splits whose bounds follow from an image's size give such tensors.  What computes one is
dead once nothing reads it.  Does not handle what has no value (the largest of no numbers), nor
empty inputs and outputs of a network: those stay.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import tvm
from tvm import relax
from tvm.ir import Call

from relax_passes.ir.straight_line import (
    StraightLine,
    operands_of,
    read_function,
    substitute,
    without_dead_bindings,
    write_function,
)

_OF_NOTHING = {"relax.sum": 0, "relax.matmul": 0, "relax.prod": 1}


def known_sizes(ty: relax.TensorType) -> list[int]:
    """The lengths of its axes, without those that are known only at run time."""
    dims = getattr(ty.shape, "values", None) or ()
    return [int(dim) for dim in dims if isinstance(dim, tvm.tirx.IntImm)]


def is_empty(expr: relax.Expr) -> bool:
    """Whether it is a tensor that is known to have no elements."""
    return isinstance(getattr(expr, "ty", None), relax.TensorType) and 0 in known_sizes(expr.ty)


def without_empty_tensors(module: tvm.IRModule) -> tvm.IRModule:
    """`module` with a ``main`` that computes the same without them; itself if it has none."""
    try:
        line = read_function(module)
    except ValueError:
        return module  # a later stage says what is wrong with it
    values = [value for _, value in line.bindings]
    if not any(is_empty(expr) for value in values for expr in (value, *operands_of(value))):
        return module
    meaning: dict[relax.Var, relax.Expr] = {}
    splits: dict[relax.Var, Call] = {}
    bindings = []
    for var, value in line.bindings:
        value = _simplified(substitute(value, meaning), splits)
        if _name(value) == "relax.split":
            splits[var] = value
        if isinstance(value, (Call, relax.TupleGetItem)):
            bindings.append((var, value))
        else:
            meaning[var] = value
    simple = StraightLine(line.parameters, tuple(bindings), substitute(line.result, meaning))
    return write_function(module, without_dead_bindings(simple))


def _simplified(value: relax.Expr, splits: Mapping[relax.Var, Call]) -> relax.Expr:
    """What reads empty tensors, and gives others, as something that does not."""
    if is_empty(value):
        return value
    if isinstance(value, relax.TupleGetItem):
        split = splits.get(value.tuple_value)
        return value if split is None else _part(split, value.index)
    name = _name(value)
    if not name or not any(map(is_empty, operands_of(value))):
        return value
    if name == "relax.concat":
        parts = [part for part in operands_of(value) if not is_empty(part)]
        return parts[0] if len(parts) == 1 else _typed(relax.op.concat(parts, value.attrs.axis))
    if name in _OF_NOTHING:
        return _filled(value.ty, _OF_NOTHING[name])
    if name == "relax.nn.pad" and value.attrs.pad_mode == "constant":
        return _filled(value.ty, value.attrs.pad_value)
    return value


def _name(value: relax.Expr) -> str:
    """Of the operator; "" for what is none."""
    return str(getattr(value.op, "name", "")) if isinstance(value, Call) else ""


def _part(split: Call, index: int) -> relax.Expr:
    """A result of a split as a slice, which does not need the others."""
    data, axis = split.args[0], int(split.attrs.axis)
    lengths = [known_sizes(field)[axis] for field in split.ty.fields]
    begin, length = sum(lengths[:index]), lengths[index]
    if length == known_sizes(data.ty)[axis]:
        return data
    return _typed(relax.op.strided_slice(data, [axis], [begin], [begin + length]))


def _filled(ty: relax.TensorType, number: float) -> relax.Expr:
    return relax.const(np.full(known_sizes(ty), number, str(ty.dtype)), str(ty.dtype))


def _typed(expr: relax.Expr) -> relax.Expr:
    return relax.BlockBuilder().normalize(expr)
