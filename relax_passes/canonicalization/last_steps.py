"""`LastSteps`: a layer over a sequence of which only the last step is read gives that alone.

    y = lstm(x, sequence=True); h = y[:, -1]     ->     h = lstm(x, sequence=False)

The states of the other steps then need no memory: one takes the place of the other.

Precondition: the operators of the set.  Does not handle: layers whose states anything but slices of
the last step read, in whatever shape they see them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from tvm import relax

from ..ir.dataflow import DataflowRewriter, is_call, shape_of
from ..ir.rewriting_pass import rewriting_pass
from ..operators import attributes_of, make_call, spec_of
from ..operators.lstm import lstm_parts
from ..operators.recurrence import Recurrence

NAME = "LastSteps"
_LAYERS = ("dero.lstm", "dero.gru")


class _Rewriter(DataflowRewriter):
    def rewrite(self, var: relax.Var, expr: relax.Expr) -> relax.Expr | None:
        if not is_call(expr, *_LAYERS) or not attributes_of(expr)["sequence"]:
            return None
        sequences = list(self._sequences(var, expr))
        slices = [slice_ for s in sequences for slice_ in self.old.readers.get(s, [])]
        loop = _loop_of(expr)
        if not slices or not all(self._is_last_step(slice_, loop) for slice_ in slices):
            return None
        attrs = attributes_of(expr) | {"sequence": False}
        operands = [self.new(operand) for operand in expr.args]
        new = self.emit(make_call(expr.op.name.removeprefix("dero."), operands, **attrs))
        last = new
        if is_call(expr, "dero.lstm"):
            offset = attributes_of(self.old.definition(sequences[0]))["offset"]
            dtype = spec_of(expr.args[1].ty).dtype
            shape = (loop.batch, loop.units)
            last = self.emit(make_call("part", [new], offset=offset, shape=shape, dtype=dtype))
        for sequence in sequences:
            self.replace(sequence, last)
        for slice_ in slices:
            assert slice_ is not None
            self.replace(slice_, self.emit(make_call("reshape", [last], shape=shape_of(slice_))))
        return new

    def _sequences(self, var: relax.Var, call: Any) -> Iterator[relax.Var]:
        """The tensors that hold the hidden states of all steps; none if others read the layer."""
        parts = []
        offset = 0
        if is_call(call, "dero.lstm"):
            operands = tuple(spec_of(arg.ty) for arg in call.args)
            offset = lstm_parts(operands, attributes_of(call)).hidden_offset
        for reader in self.old.readers.get(var, []):
            view = None if reader is None else self.old.definitions[reader]
            if not is_call(view, "dero.part", "dero.reshape"):
                return
            if is_call(view, "dero.reshape") or attributes_of(view)["offset"] == offset:
                parts.append(reader)
        yield from parts

    def _is_last_step(self, reader: relax.Var | None, loop: Recurrence) -> bool:
        """Whether a reader of all hidden states takes those of the last step."""
        call: Any = None if reader is None else self.old.definitions[reader]
        if not is_call(call, "dero.slice"):
            return False
        attrs, elements = attributes_of(call), np.arange(loop.hidden_elements)
        index = tuple(map(slice, attrs["begin"], attrs["end"], attrs["strides"]))
        taken = elements.reshape(shape_of(call.args[0]))[index]
        expected = elements.reshape(loop.hidden_shape).take(loop.last, axis=loop.time_axis)
        return np.array_equal(taken.ravel(), expected.ravel())


LastSteps = rewriting_pass(NAME, _Rewriter)
"""Module pass: see the file's docstring."""


def _loop_of(call: Any) -> Recurrence:
    specs, attrs = tuple(spec_of(arg.ty) for arg in call.args), attributes_of(call)
    if is_call(call, "dero.lstm"):
        return lstm_parts(specs, attrs).loop
    return Recurrence.of("gru", specs, attrs, states=1, gates=3)
