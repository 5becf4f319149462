"""Layers over sequences as calls of this project's operators: what frontends share of them."""

from __future__ import annotations

from typing import Any

from tvm import relax

from relax_passes.operators import attributes_of, make_call, spec_of
from relax_passes.operators.lstm import lstm_parts
from relax_passes.operators.recurrence import Recurrence


def lstm(
    builder: relax.BlockBuilder, operands: list[relax.Expr], **attrs: Any
) -> tuple[relax.Expr, relax.Expr, relax.Expr]:
    """The hidden states of all steps, the last hidden state, and the last cell state.

    `operands` and `attrs` are those of `dero.lstm`.
    """
    operands = [builder.normalize(operand) for operand in operands]
    call = make_call("lstm", operands, sequence=True, **attrs)
    packed = builder.emit(call)
    parts = lstm_parts(tuple(spec_of(operand.ty) for operand in operands), attributes_of(call))
    hidden, cell = (spec_of(operand.ty) for operand in operands[1:3])

    def part(offset: int, shape: tuple[int, ...], dtype: str) -> relax.Expr:
        return builder.emit(make_call("part", [packed], offset=offset, shape=shape, dtype=dtype))

    sequence = part(parts.hidden_offset, parts.loop.hidden_shape, hidden.dtype)
    last = _last_step(builder, sequence, parts.loop)
    return sequence, last, part(0, cell.shape, cell.dtype)


def gru(
    builder: relax.BlockBuilder, operands: list[relax.Expr], **attrs: Any
) -> tuple[relax.Expr, relax.Expr]:
    """The hidden states of all steps, and the last one.

    `operands` and `attrs` are those of `dero.gru`.
    """
    operands = [builder.normalize(operand) for operand in operands]
    call = make_call("gru", operands, sequence=True, **attrs)
    specs = [spec_of(operand.ty) for operand in operands]
    loop = Recurrence.of("gru", specs, attributes_of(call), states=1, gates=3)
    sequence = builder.emit(relax.op.reshape(builder.emit(call), loop.hidden_shape))
    return sequence, _last_step(builder, sequence, loop)


def _last_step(builder: relax.BlockBuilder, sequence: relax.Expr, loop: Recurrence) -> relax.Expr:
    axis, last = loop.time_axis, loop.last
    step = builder.emit(relax.op.strided_slice(sequence, [axis], [last], [last + 1]))
    return builder.emit(relax.op.reshape(step, [loop.batch, loop.units]))
