"""PyTorch's LSTM and GRU as loops over time; TVM's importer writes one layer a step."""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm import relax

from .recurrent_layers import gru, lstm


def _layers(states: int) -> Any:
    """A converter of ``lstm.input`` (2 states) or ``gru.input`` (1).

    Their operands are ``(input, hx, params, has_biases, num_layers, dropout, train,
    bidirectional, batch_first)``.
    """

    def convert(node: Any, importer: Any) -> tuple[relax.Expr, ...]:
        data, given, weights, biased, count, _, _, bidirectional, batch_first = (
            importer.retrieve_args(node)
        )
        builder = importer.block_builder
        given = [given] if states == 1 else list(given)
        directions = 2 if bidirectional else 1
        each = len(weights) // (count * directions)
        if each != (4 if biased else 2):
            raise ValueError("an LSTM with a projection (proj_size) is not supported")
        left: list[list[relax.Expr]] = [[] for _ in range(states)]
        for layer in range(count):
            sequences = []
            for direction in range(directions):
                number = layer * directions + direction
                own = list(weights[number * each : (number + 1) * each])
                operands = [data, *(_state(builder, state, number) for state in given), *own[:2]]
                operands += _biases(builder, own, states)
                attrs = {"time_major": not batch_first, "reverse": direction == 1}
                run = lstm if states == 2 else gru
                sequence, *last = run(builder, operands, **attrs)
                sequences.append(sequence)
                for kept, state in zip(left, last):
                    kept.append(builder.emit(relax.op.expand_dims(state, 0)))
            data = _together(builder, sequences, 2)
        return (data, *(_together(builder, kept, 0) for kept in left))

    return convert


def _biases(
    builder: relax.BlockBuilder, weights: list[relax.Expr], states: int
) -> list[relax.Expr]:
    """Of the data and of the hidden state, which an LSTM adds up."""
    if len(weights) == 2:
        rows = int(weights[0].ty.shape[0])
        zeros = relax.const(np.zeros(rows, "float32"))
        return [zeros] if states == 2 else [zeros, zeros]
    if states == 2:
        return [builder.emit(relax.op.add(*weights[2:]))]
    return weights[2:]


def _state(builder: relax.BlockBuilder, given: relax.Expr, number: int) -> relax.Expr:
    """What one layer in one direction begins with."""
    part = builder.emit(relax.op.strided_slice(given, [0], [number], [number + 1]))
    return builder.emit(relax.op.squeeze(part, [0]))


def _together(builder: relax.BlockBuilder, parts: list[relax.Expr], axis: int) -> relax.Expr:
    return parts[0] if len(parts) == 1 else builder.emit(relax.op.concat(parts, axis))


RECURRENT = {"lstm.input": _layers(2), "gru.input": _layers(1)}
