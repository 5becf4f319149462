"""Cascades written down briefly, and run byte by byte with no code of the schedule's own.

    relu = operator("unary", "b", ("a", image(6)), function="relu")

`run` executes a cascade as generated code would, in rings of given heights and with the output at
a given place beside an input, and raises `Overwritten` where a byte that a kernel needs is gone.
It knows of the schedule only what the generated code is made of: who asks whom, ring heights,
which results live in their operand's ring, and which tensors are completed at the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from relax_passes.operators import Signature, TensorSpec, operator_of
from relax_passes.streaming.cascade_operator import CascadeOperator
from relax_passes.streaming.row_schedule import RowSchedule


class Overwritten(Exception):
    """A row is needed that is not there."""


def operator(
    name: str, result: str, *operands: tuple[str, TensorSpec], running_reduction=False, **attrs
) -> CascadeOperator:
    """An operator of a cascade; operands are names and shapes, constants have the name ""."""
    kind = operator_of(f"dero.{name}")
    values = {**kind.defaults, **attrs}
    names, inputs = zip(*operands)
    signature = Signature(f"dero.{name}", inputs, kind.infer(inputs, values), values)
    rows = tuple(i for i in kind.row_arguments(signature) if names[i])
    return CascadeOperator(signature, names, result, rows, running_reduction)


def window(result, source, spec, kernel=3, stride=1, before=1, after=1, dilation=1, channels=0):
    """A convolution of float32 that is `kernel` high and one wide."""
    filters = channels or spec.channels
    return operator(
        "conv2d",
        result,
        (source, spec),
        ("", TensorSpec((filters, kernel, 1, spec.channels), "float32")),
        ("", TensorSpec((filters,), "float32")),
        strides=(stride, 1),
        padding=(before, 0, after, 0),
        dilation=(dilation, 1),
    )


def image(height: int, channels: int = 1, width: int = 1, batch: int = 1) -> TensorSpec:
    """A float32 image: a row has ``4 * width * channels`` bytes."""
    return TensorSpec((batch, height, width, channels), "float32")


def run(
    operators: Sequence[CascadeOperator],
    schedule: RowSchedule,
    descending: bool = False,
    *,
    rings: Mapping[str, int] | None = None,
    beside: tuple[str, int] | None = None,
) -> list[int]:
    """Kernel calls of each operator.

    `rings` stand in for the schedule's heights.  With `beside`, a tensor read from outside and a
    distance, the output lies that many bytes below the tensor (descending: its end lies that many
    bytes above the tensor's); otherwise it lies apart.
    """
    return _Run(operators, schedule, descending, rings or {}, beside).run()


class _Run:
    def __init__(self, operators, schedule, descending, rings, beside) -> None:
        self.operators, self.schedule, self.descending = operators, schedule, descending
        self.heights = {**schedule.rings, **rings}
        self.made = [0] * len(operators)
        self.tags: dict[str, int] = {}
        self.memory: dict[str, np.ndarray] = {}  # by buffer
        self.place: dict[str, tuple[str, int]] = {}  # whole tensor -> buffer, offset
        results = {op.result for op in operators}
        inputs = {}
        for op in operators:
            for name, spec in zip(op.operands, op.signature.inputs):
                if name and name not in results:
                    inputs[name] = spec
        for name, spec in inputs.items():
            self._whole(name, spec.bytes)
        output = operators[-1].signature.output
        for op in operators:
            if op.result not in schedule.rings:
                self._whole(op.result, op.signature.output.bytes)
            elif op.result not in schedule.in_place:
                size = self.heights[op.result] * op.signature.output.row_bytes
                self.memory[op.result] = np.full(size, -1, np.int64)
        if beside is not None:
            name, distance = beside
            size = inputs[name].bytes
            ahead = output.bytes - size - distance if descending else distance
            base = max(0, -ahead)
            self.memory["shared"] = np.full(base + abs(ahead) + size + output.bytes, -1, np.int64)
            self.place[operators[-1].result] = "shared", base
            self.place[name] = "shared", base + ahead
        for name, spec in inputs.items():
            buffer, start = self.place[name]
            self.memory[buffer][start : start + spec.bytes] = self._tags(name, 0, spec.bytes)

    def _whole(self, name: str, size: int) -> None:
        self.memory[name] = np.full(size, -1, np.int64)
        self.place[name] = name, 0

    def _tags(self, name: str, start: int, size: int) -> np.ndarray:
        number = self.tags.setdefault(name, len(self.tags))
        return number * 1_000_000 + start + np.arange(size)

    def run(self) -> list[int]:
        self._make_until(len(self.operators) - 1, self.operators[-1].steps)
        for index in self.schedule.incomplete:
            self._make_until(index, self.operators[index].steps)
        for op in self.operators:  # whatever is whole is there at the end
            if op.result in self.place:
                self._check(op.result, op.signature.output, range(op.signature.output.rows))
        return self.made

    def _make_until(self, index: int, until: int) -> None:
        while self.made[index] < until:
            call = self.made[index]
            for demand in self.schedule.demands:
                if demand.reader == index:
                    rows = self._reads(index, demand.operand, range(call + 1))
                    producer = self.operators[demand.producer]
                    height = producer.signature.output.rows
                    # In order of execution: the last one asked for so far, counted from one.
                    counts = [height - row if self.descending else row + 1 for row in rows]
                    asked = max(counts, default=0)
                    if producer.running_reduction:
                        asked = producer.steps if asked else 0
                    self._make_until(demand.producer, asked)
            self._call(index, call)
            self.made[index] += 1

    def _reads(self, index: int, operand: int, calls: range) -> list[int]:
        op = self.operators[index]
        kind = operator_of(op.signature.operator)
        rows = []
        for call in calls:
            if op.running_reduction:
                rows.append(call)
            elif operand not in op.row_operands:
                rows += range(op.signature.inputs[operand].rows)
            else:
                row = op.signature.output.rows - 1 - call if self.descending else call
                rows += range(*kind.needed_rows(op.signature, operand, row))
        return rows

    def _call(self, index: int, call: int) -> None:
        op = self.operators[index]
        output = op.signature.output
        row = output.rows - 1 - call if self.descending else call
        read = []
        for operand, name in enumerate(op.operands):
            if name:
                spec = op.signature.inputs[operand]
                rows = self._reads(index, operand, range(call, call + 1))
                self._check(name, spec, rows)
                read += [(operand, *self._span(name, spec, r)) for r in rows]
        if op.running_reduction:
            if call < op.steps - 1:
                return
            row = 0
        buffer, start, end = self._span(op.result, output, row)
        in_place = operator_of(op.signature.operator).in_place_arguments(op.signature)
        for operand, other, begin, stop in read:
            if other == buffer and begin < end and start < stop:
                if operand not in in_place or start > begin:
                    raise Overwritten(f"{op.result} runs over its operand {operand}")
        self.memory[buffer][start:end] = self._tags(op.result, row * output.row_bytes, end - start)

    def _check(self, name: str, spec: TensorSpec, rows) -> None:
        for row in rows:
            buffer, start, end = self._span(name, spec, row)
            expected = self._tags(name, row * spec.row_bytes, spec.row_bytes)
            if (self.memory[buffer][start:end] != expected).any():
                raise Overwritten(f"row {row} of {name}")

    def _span(self, name: str, spec: TensorSpec, row: int) -> tuple[str, int, int]:
        if name in self.place:
            buffer, base = self.place[name]
            start = base + row * spec.row_bytes
        else:
            buffer = self.schedule.ring_of(name)
            start = row % self.heights[buffer] * spec.row_bytes
        return buffer, start, start + spec.row_bytes
