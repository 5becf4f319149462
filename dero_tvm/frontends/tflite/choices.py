"""Operators that choose, fill and replace elements, of quantized tensors, too."""

from __future__ import annotations

import functools

import numpy as np
import tflite
from tvm import ir, relax

from .computed_starts import slice_at, update_at
from .constant_shapes import options_of
from .converter import Converter, rule


@rule("SELECT", "SELECT_V2")
def _select(converter: Converter, op: tflite.Operator) -> ir.Expr:
    """Integers as they are, where all of them have one scale."""
    condition, *operands = converter.get_input_tensors(op)
    (target,) = converter.get_output_tensors(op)
    if any(converter._requantizes(operand, target) for operand in operands):
        return converter.through_float(op, relax.op.where, inputs=(0, 1, 2))
    return relax.op.where(
        converter.get_tensor_expr(condition), *map(converter.get_tensor_expr, operands)
    )


@rule("ADD_N")
def _add_n(converter: Converter, op: tflite.Operator) -> ir.Expr:
    def total(*operands: ir.Expr) -> ir.Expr:
        return functools.reduce(lambda a, b: converter.bb.normalize(relax.op.add(a, b)), operands)

    return converter.through_float(op, total, inputs=range(op.InputsLength()))


@rule("CUMSUM")
def _cumsum(converter: Converter, op: tflite.Operator) -> ir.Expr:
    options = options_of(op, tflite.CumsumOptions)
    data, axis_tensor = converter.get_input_tensors(op)
    rank = len(converter.get_tensor_shape(data))
    axis = int(converter.get_tensor_value(axis_tensor).item()) % rank

    def sums(expr: ir.Expr) -> ir.Expr:
        if options.Reverse():
            expr = converter.bb.normalize(relax.op.flip(expr, axis))
        made = converter.bb.normalize(relax.op.cumsum(expr, axis, exclusive=options.Exclusive()))
        return relax.op.flip(made, axis) if options.Reverse() else made

    return converter.through_float(op, sums)


@rule("FILL")
def _fill(converter: Converter, op: tflite.Operator) -> ir.Expr:
    """The number as it is: result and number have one scale."""
    shape, number = converter.get_input_tensors(op)
    sizes = [int(size) for size in converter.get_tensor_value(shape)]
    value = converter.bb.normalize(relax.op.reshape(converter.get_tensor_expr(number), []))
    return relax.op.broadcast_to(value, sizes)


@rule("ZEROS_LIKE")
def _zeros(converter: Converter, op: tflite.Operator) -> ir.Expr:
    """Zeros as they are stored, whatever they stand for."""
    expr = converter.bb.normalize(converter.get_tensor_expr(converter.get_input_tensors(op)[0]))
    return relax.const(np.zeros(converter.static_shape(expr), str(expr.ty.dtype)))


@rule("SLICE")
def _slice(converter: Converter, op: tflite.Operator) -> ir.Expr:
    data, start, size = converter.get_input_tensors(op)
    if converter.is_constant(start):
        return converter.convert_slice(op)
    sizes = [int(length) for length in converter.get_tensor_value(size)]
    whole = converter.bb.normalize(converter.get_tensor_expr(data))
    if -1 in sizes:
        raise ValueError(
            "it starts at a computed place and goes to the end, so that its size is not known; "
            "export it with a constant size"
        )
    place = converter.bb.normalize(converter.get_tensor_expr(start))
    return slice_at(converter, whole, place, sizes)


@rule("DYNAMIC_UPDATE_SLICE")
def _update(converter: Converter, op: tflite.Operator) -> ir.Expr:
    """A part replaced: at a constant place, what is before and behind it, axis by axis."""
    data, update, start = converter.get_input_tensors(op)
    whole = converter.bb.normalize(converter.get_tensor_expr(data))
    part = converter.bb.normalize(converter.get_tensor_expr(update))
    if not converter.is_constant(start):
        place = converter.bb.normalize(converter.get_tensor_expr(start))
        return update_at(converter, whole, part, place)
    outer, inner = converter.static_shape(whole), converter.static_shape(part)
    begins = [int(begin) for begin in converter.get_tensor_value(start)]
    # As LiteRT has it, a part that would reach over the end is moved back.
    begins = [min(max(b, 0), o - i) for b, o, i in zip(begins, outer, inner, strict=True)]
    for axis in reversed(range(len(outer))):
        # The slab that has the part's extent along the axes in front, and all of those behind.
        axes = list(range(axis))
        ends = [begin + length for begin, length in zip(begins, inner)]
        slab = relax.op.strided_slice(whole, axes, begins[:axis], ends[:axis]) if axes else whole
        slab = converter.bb.normalize(slab)
        pieces = [part]
        if begins[axis]:
            pieces.insert(0, relax.op.strided_slice(slab, [axis], [0], [begins[axis]]))
        if ends[axis] < outer[axis]:
            pieces.append(relax.op.strided_slice(slab, [axis], [ends[axis]], [outer[axis]]))
        pieces = [converter.bb.normalize(piece) for piece in pieces]
        if len(pieces) > 1:
            part = converter.bb.normalize(relax.op.concat(pieces, axis))
    return part
