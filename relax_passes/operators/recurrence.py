"""What layers that loop over a sequence share: the lengths of axes, and where steps lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tvm import tirx
from tvm.script import tirx as T

from .signature import TensorSpec


@dataclass(frozen=True)
class Recurrence:
    """A layer over data of shape [B, T, I], with `time_major` [T, B, I], with states of [B, H].

    Its result has the hidden states of all steps with `sequence`, otherwise that of the last one.
    With `reverse` the last step is that with the lowest index.
    """

    batch: int
    steps: int
    width: int
    units: int
    time_major: bool
    sequence: bool
    reverse: bool

    @staticmethod
    def of(
        name: str,
        inputs: Sequence[TensorSpec],
        attrs: Mapping[str, Any],
        *,
        states: int,
        gates: int,
    ) -> Recurrence:
        """Of operands data, states, weights of the data, recurrent weights, bias.

        Raises ``ValueError`` if they do not fit each other.
        """
        data, hidden = inputs[:2]
        if len(data.shape) != 3 or not hidden.shape:
            raise ValueError(f"{name} takes sequences of shape [B, T, I], got {data.shape}")
        first, second, width = data.shape
        batch, steps = (second, first) if attrs["time_major"] else (first, second)
        units = hidden.channels
        expected = [
            *[(batch, units)] * states,
            *((gates * units, width), (gates * units, units), (gates * units,)),
        ]
        given = [spec.shape for spec in inputs[1 : 1 + len(expected)]]
        if given != expected:
            raise ValueError(f"{name}: operands of shapes {given} behind the data, not {expected}")
        flags = (attrs["time_major"], attrs["sequence"], attrs["reverse"])
        return Recurrence(batch, steps, width, units, *map(bool, flags))

    @property
    def states(self) -> int:
        """Elements of a state."""
        return self.batch * self.units

    @property
    def hidden_shape(self) -> tuple[int, ...]:
        """Of the hidden states that are given."""
        if not self.sequence:
            return self.batch, self.units
        first = (self.steps, self.batch) if self.time_major else (self.batch, self.steps)
        return (*first, self.units)

    @property
    def hidden_elements(self) -> int:
        """Elements of the hidden states that are given."""
        return self.states * (self.steps if self.sequence else 1)

    @property
    def time_axis(self) -> int:
        """Of the data and of the hidden states."""
        return 0 if self.time_major else 1

    @property
    def last(self) -> int:
        """The index of the last step."""
        return 0 if self.reverse else self.steps - 1

    def at(self, step: Any, batch: Any) -> Any:
        """The row of the data that a step reads."""
        index = self.steps - 1 - step if self.reverse else step
        return index * self.batch + batch if self.time_major else batch * self.steps + index

    def place(self, step: Any, batch: Any, unit: Any) -> Any:
        """The number of an element of a step's hidden state in the result."""
        return (self.at(step, batch) if self.sequence else batch) * self.units + unit


def logistic(value: Any) -> Any:
    """TIR float32 expression: ``1 / (1 + exp(-value))``."""
    one = tirx.const(1.0, "float32")
    return one / (one + T.exp(-value))
