"""Concatenation of any number of tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tvm
from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script import builder as T

from . import indexing
from .registry import REQUIRED, Operator, OperatorClass, Span, register
from .signature import Signature, TensorSpec


@register
class Concat(Operator):
    """Joins tensors along `axis` (negative: counted from the last axis).

    All operands have one type, and int8 operands one scale and zero point.

    Along an inner axis (pixels or channels) output row r is made of row r of every operand.  Along
    a leading axis it is a row of one operand; the other operands' ranges are empty then, at the
    place where reading stopped or will start.

    ``in_place`` promises nothing about values: it tells memory planning that the operands are
    slices of the output's buffer, so that nothing is left to copy.
    """

    name = "concat"
    memory_class = OperatorClass.CONCAT
    arguments = ()
    defaults = {"axis": REQUIRED, "in_place": False}

    def argument_names(self, signature: Signature) -> tuple[str, ...]:
        return tuple(f"input{index}" for index in range(len(signature.inputs)))

    def infer(self, inputs: tuple[TensorSpec, ...], attrs: dict[str, Any]) -> TensorSpec:
        if not inputs:
            raise ValueError("concat needs at least one operand")
        first = inputs[0]
        indexing.check_rank(self.name, first)
        rank = len(first.shape)
        if not -rank <= attrs["axis"] < rank:
            raise ValueError(f"concat: axis {attrs['axis']} is not an axis of shape {first.shape}")
        axis = attrs["axis"] % rank
        for spec in inputs:
            if spec.dtype != first.dtype:
                raise ValueError(f"concat: operands of types {first.dtype} and {spec.dtype}")
            if _without(spec.shape, axis) != _without(first.shape, axis):
                raise ValueError(
                    f"concat: shapes {first.shape} and {spec.shape} differ in another axis "
                    f"than {axis}"
                )
        total = sum(spec.shape[axis] for spec in inputs)
        return TensorSpec((*first.shape[:axis], total, *first.shape[axis + 1 :]), first.dtype)

    def row_arguments(self, signature: Signature) -> tuple[int, ...]:
        return tuple(range(len(signature.inputs)))

    def needed_rows(self, signature: Signature, argument: int, row: int) -> Span:
        axis = concat_axis(signature)
        if axis >= len(indexing.leading_shape(signature.output)):
            return row, row + 1
        spec = signature.inputs[argument]
        leading = indexing.leading_shape(spec)
        indices = indexing.leading_indices(signature.output, row)
        indices[axis] -= concat_offsets(signature)[argument]
        if 0 <= indices[axis] < spec.shape[axis]:
            position = indexing.row_position(indices, leading)
            return position, position + 1
        indices[axis] = 0 if indices[axis] < 0 else spec.shape[axis]
        edge = indexing.row_position(indices[: axis + 1], leading)
        return edge, edge

    def needed_columns(self, signature: Signature, argument: int, column: int) -> Span | None:
        return (column, column + 1) if concat_axis(signature) == 3 else None

    def row_kernel(self, signature: Signature) -> tirx.PrimFunc:
        axis = concat_axis(signature)
        along_rows = axis < len(indexing.leading_shape(signature.output))
        # The number of parameters varies, so the kernel is built statement by statement.
        with IRBuilder() as builder:
            with T.prim_func(is_private=True, s_tir=True):
                T.func_name("concat_row")
                row = T.arg("row", tirx.Var("row", "int32"))
                operands = []
                for name, spec in zip(self.argument_names(signature), signature.inputs):
                    pointer = T.arg(name, T.handle(spec.dtype))
                    ring = T.arg(f"{name}_rows", tirx.Var(f"{name}_rows", "int32"))
                    operands.append((pointer, ring))
                out = T.arg("out", T.handle(signature.output.dtype))
                target = T.decl_buffer(
                    (signature.output.row_stride,), signature.output.dtype, data=out
                )
                for number, (pointer, ring) in enumerate(operands):
                    spec = signature.inputs[number]
                    source = T.decl_buffer(
                        (indexing.buffer_elements(spec),), spec.dtype, data=pointer
                    )
                    begin = concat_offsets(signature)[number]
                    if along_rows:
                        indices = indexing.leading_indices(signature.output, row)
                        position = indices[axis] - begin
                        with T.If(tirx.all(position >= 0, position < spec.shape[axis])):
                            with T.Then():
                                indices[axis] = position
                                _copy_row(signature, number, source, target, indices, ring)
                    else:
                        indices = indexing.leading_indices(spec, row)
                        _copy_row(signature, number, source, target, indices, ring)
        return tvm.s_tir.renew_defs(builder.get())


def concat_axis(signature: Signature) -> int:
    """The axis of a concatenation, counted from the first axis."""
    return signature["axis"] % len(signature.output.shape)


def concat_offsets(signature: Signature) -> list[int]:
    """Where each operand begins along the axis of the concatenation."""
    axis = concat_axis(signature)
    offsets = [0]
    for spec in signature.inputs:
        offsets.append(offsets[-1] + spec.shape[axis])
    return offsets[:-1]


def _copy_row(
    signature: Signature,
    number: int,
    source: tirx.Buffer,
    target: tirx.Buffer,
    leading: Sequence[Any],
    ring: Any,
) -> None:
    """Emit the loops that copy one row of operand `number` to its place in the output row."""
    spec, output, axis = signature.inputs[number], signature.output, concat_axis(signature)
    row = indexing.linear(leading, indexing.leading_shape(spec))
    if axis < len(leading) and spec.dense and output.dense:
        with T.serial(spec.row_stride) as at:
            value = source[indexing.ring_offset(spec, row, at, ring)]
            T.buffer_store(target, value, [at])
        return
    with T.grid(*indexing.row_loops(spec)) as loops:
        indices = [*leading, *loops[len(loops) - len(indexing.inner_shape(spec)) :]]
        place = list(indices)
        if axis >= len(leading):
            place[axis] = place[axis] + concat_offsets(signature)[number]
        offset = indexing.ring_offset(spec, row, indexing.offset_in_row(spec, indices), ring)
        T.buffer_store(target, source[offset], [indexing.offset_in_row(output, place)])


def _without(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return shape[:axis] + shape[axis + 1 :]
