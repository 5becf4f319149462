"""Operators that join what they compute with another tensor: a residual addition in the loop nest.

    conv2d_add(data, weight, bias, ..., other)  =  add(conv2d(data, weight, bias, ...), other)

The elements go through the arithmetic of both operators one after the other, rounding and clamp of
the first included, so that the bits are those of the pair.  What lies in memory differs: of the
first operator's result there is one element, and the row may be written over that of ``other``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import tvm_ffi
from tvm import tirx
from tvm.ir import TensorLoad
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script import builder as T

from . import elementwise, indexing
from .add import Add, Subtract
from .conv2d import Conv2D
from .dense import Dense
from .elementwise import BinaryOperator
from .multiply import Multiply
from .registry import PREFIX, Operator, OperatorClass, Span, register
from .signature import Signature, TensorSpec

OTHER = "other"
_OF_JOIN = "join_"


class Joined(Operator):
    """A `producer` whose every element is joined with the one of ``other`` in its place.

    ``other`` has the shape and type of the producer's result.  Attributes are the producer's, those
    of the join behind ``join_``, and ``computed``: which of the join's operands, 0 or 1, is the
    producer's result.
    """

    producer: ClassVar[Operator]
    join: ClassVar[BinaryOperator]

    def argument_names(self, signature: Signature) -> tuple[str, ...]:
        names = self.producer.argument_names(self.producer_of(signature))
        return (*names, OTHER)

    def infer(self, inputs: tuple[TensorSpec, ...], attrs: dict[str, Any]) -> TensorSpec:
        *operands, other = inputs
        spec = self.producer.infer(tuple(operands), self._attributes(attrs, ""))
        if (spec.shape, spec.dtype) != (other.shape, other.dtype):
            raise ValueError(
                f"{self.name} joins tensors of one shape and type, got {spec.described} and "
                f"{other.described}"
            )
        if attrs["computed"] not in (0, 1):
            raise ValueError(f"{self.name}: computed must be 0 or 1, got {attrs['computed']}")
        return self.join.infer((spec, spec), self._attributes(attrs, _OF_JOIN))

    def producer_of(self, signature: Signature) -> Signature:
        """The producer's own signature, with a result of the same layout."""
        attrs = self._attributes(dict(signature.attrs), "")
        name = PREFIX + self.producer.name
        return Signature(name, signature.inputs[:-1], signature.output, attrs)

    def join_of(self, signature: Signature) -> Signature:
        """The join's own signature, of the producer's result and ``other``."""
        operands = (signature.output, signature.inputs[-1])
        if signature["computed"]:
            operands = operands[::-1]
        attrs = self._attributes(dict(signature.attrs), _OF_JOIN)
        return Signature(PREFIX + self.join.name, operands, signature.output, attrs)

    def _attributes(self, attrs: dict[str, Any], prefix: str) -> dict[str, Any]:
        part = self.join if prefix else self.producer
        return {name: attrs[prefix + name] for name in part.defaults}

    # --- what memory planning asks -----------------------------------------------------------

    def operator_class(self, signature: Signature) -> OperatorClass:
        return self.producer.operator_class(self.producer_of(signature))

    def row_arguments(self, signature: Signature) -> tuple[int, ...]:
        own = self.producer.row_arguments(self.producer_of(signature))
        return (*own, len(signature.inputs) - 1)

    def needed_rows(self, signature: Signature, argument: int, row: int) -> Span:
        if argument == len(signature.inputs) - 1:
            return row, row + 1
        return self.producer.needed_rows(self.producer_of(signature), argument, row)

    def needed_columns(self, signature: Signature, argument: int, column: int) -> Span | None:
        if argument == len(signature.inputs) - 1:
            return column, column + 1
        return self.producer.needed_columns(self.producer_of(signature), argument, column)

    def in_place_arguments(self, signature: Signature) -> tuple[int, ...]:
        join = self.join_of(signature)
        over = elementwise.in_place_arguments(join)
        return (len(signature.inputs) - 1,) if 1 - signature["computed"] in over else ()

    def macs(self, signature: Signature) -> int:
        return self.producer.macs(self.producer_of(signature))

    # --- kernels -----------------------------------------------------------------------------

    def row_kernel(self, signature: Signature) -> tirx.PrimFunc:
        """The producer's, in which every element that it stores is joined first."""
        kernel = self.producer.row_kernel(self.producer_of(signature))
        *params, out = kernel.params
        row, spec = kernel.params[0], signature.inputs[-1]
        other = tirx.Var(OTHER, T.handle(spec.dtype).ty)
        other_rows = tirx.Var(f"{OTHER}_rows", "int32")
        elements = tirx.decl_buffer((indexing.buffer_elements(spec),), spec.dtype, "R", data=other)
        # Kept in a variable: compilers would look for the row once an element.
        start = tirx.decl_buffer((1,), "int32", f"{OTHER}_start")

        results = _buffers_at(out, kernel.body)

        def joined(store: tirx.BufferStore) -> tirx.Stmt:
            if not any(store.buffer.same_as(buffer) for buffer in results):
                return store
            place = _place(store.indices[0], signature.output, spec)
            element = elements[start[0] + place]
            return _statements(lambda: self._store(signature, store, element))

        body = tvm_ffi.structural_map(kernel.body, [(tirx.BufferStore, joined)])

        def whole() -> None:
            T.add_to_parent(tirx.DeclBuffer(elements, data=other))
            T.add_to_parent(tirx.AllocBuffer(start))
            T.buffer_store(start, indexing.ring_offset(spec, row, 0, other_rows), [0])
            T.add_to_parent(body)

        params = [*params, other, other_rows, out]
        return tirx.PrimFunc(params, _statements(whole), kernel.ret_type, kernel.attrs)

    def _store(self, signature: Signature, store: tirx.BufferStore, element: tirx.Expr) -> None:
        value = store.value
        if not isinstance(value, TensorLoad):  # it may be used several times
            computed = T.alloc_buffer((1,), signature.output.dtype)
            IRBuilder.name("computed", computed)
            T.buffer_store(computed, value, [0])
            value = computed[0]
        operands = (value, element)
        if signature["computed"]:
            operands = operands[::-1]
        result = self.join.arithmetic(self.join_of(signature))(*operands)
        T.buffer_store(store.buffer, result, store.indices)


def _place(index: tirx.Expr, output: TensorSpec, other: TensorSpec) -> tirx.Expr:
    """Where in its row ``other`` has the element that the output has at `index`."""
    if output.pixel_stride == other.pixel_stride:
        return index
    pixel = tirx.truncdiv(index, output.pixel_stride)
    return pixel * other.pixel_stride + tirx.truncmod(index, output.pixel_stride)


def _buffers_at(pointer: tirx.Var, body: tirx.Stmt) -> list[tirx.Var]:
    """The names by which statements know the memory behind a pointer."""
    found: list[tirx.Var] = []

    def visit(declaration: tirx.DeclBuffer) -> None:
        if declaration.data.same_as(pointer):
            found.append(declaration.buffer)

    tvm_ffi.structural_walk(body, [(tirx.DeclBuffer, visit)])
    return found


def _statements(write: Callable[[], None]) -> tirx.Stmt:
    """The statements that `write` adds to the kernel under construction."""
    with IRBuilder() as builder:
        with T.prim_func(private=True, s_tir=True):
            write()
    return builder.get().body


def _register(producer: Operator, join: BinaryOperator) -> type[Operator]:
    class Pair(Joined):
        pass

    Pair.name = f"{producer.name}_{join.name}"
    Pair.__doc__ = f"`{producer.name}` whose result goes into `{join.name}` element by element."
    Pair.producer, Pair.join = producer, join
    of_join = {_OF_JOIN + name: value for name, value in join.defaults.items()}
    Pair.defaults = {**producer.defaults, **of_join, "computed": 0}
    return register(Pair)


PAIRS: dict[tuple[str, str], str] = {
    (PREFIX + producer.name, PREFIX + join.name): f"{producer.name}_{join.name}"
    for producer in (Conv2D(), Dense())
    for join in (Add(), Subtract(), Multiply())
    if _register(producer, join)
}
"""The operators of this file, without the prefix, by the names of producer and join."""


def joined_attributes(
    producer: dict[str, Any], join: dict[str, Any], computed: int
) -> dict[str, Any]:
    """The attributes of a pair, of those of its two operators."""
    of_join = {_OF_JOIN + name: value for name, value in join.items()}
    return {**producer, **of_join, "computed": computed}
