"""Integer arithmetic of a virtual shortcut: a chain of int8 values, each from those before it.

A quantized network rounds to int8 after every operator of a shortcut.  The kernel of
`shortcut_conv2d` does the same, element by element, without a tensor for any of them.  A
**step** is one such int8 value at one channel:

    Lookup   table[source]
    Affine   round((sum over terms of factor * (values - zero) + offset) / 2**shift), clamped

rounded to the nearest, ties to even, as ONNX's QuantizeLinear does.  The *sources* of a step are
earlier steps, the data under the shortcut's window (`DATA`), or the convolution's result
(`CONV`).  A term adds up several channels of its source, which is how a shortcut is folded:

    for channel c of the step:   sum over j < count of source[c + first + j * stride]

where channels outside ``[begin, end)`` count as zero; `guarded` says if there are any.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any

from tvm import tirx
from tvm.script import tirx as T

from . import fixed_point

DATA, CONV = -1, -2
SCALAR = -1  # in place of an offset into the constants: one number serves all channels


@dataclass(frozen=True)
class Term:
    """A factor times a sum of channels of one source; see the module's docstring."""

    source: int
    zero: int  # what stands for the real zero in the source
    factor: int
    factors: int = SCALAR  # where in the constants the factor of each channel stands
    first: int = 0
    count: int = 1
    stride: int = 0
    begin: int = 0
    end: int = 0
    guarded: int = 0


@dataclass(frozen=True)
class Affine:
    """An int8 value computed from several; see the module's docstring."""

    terms: tuple[Term, ...]
    offset: int  # in units of 2**-shift
    shift: int
    minimum: int = fixed_point.INT8_MIN
    maximum: int = fixed_point.INT8_MAX
    offsets: int = SCALAR  # where in the constants the offset of each channel stands,
    offsets_shift: int = 0  # in units of 2**(offsets_shift - shift)


@dataclass(frozen=True)
class Lookup:
    """An int8 value from a table of 256, which begins at `table` in the tables."""

    source: int
    table: int


ShortcutStep = Affine | Lookup


def encode(steps: Sequence[ShortcutStep]) -> tuple:
    """The steps as tuples of numbers, for an attribute."""
    return tuple(astuple(step) for step in steps)


def decode(encoded: Sequence) -> tuple[ShortcutStep, ...]:
    """The steps of an attribute.  Raises ``ValueError`` if it holds something else."""
    steps: list[ShortcutStep] = []
    for entry in encoded:
        if len(entry) == 2:
            steps.append(Lookup(*entry))
        elif len(entry) == 7:
            steps.append(Affine(tuple(Term(*term) for term in entry[0]), *entry[1:]))
        else:
            raise ValueError(f"a step of a shortcut has 2 or 7 entries, got {entry}")
    return tuple(steps)


class StepEmitter:
    """Emits the statements that compute steps for one pixel, into the kernel being built.

    `sources` maps `DATA` and `CONV` to functions that emit the sum of a term's channels, with its
    zero taken off, for a channel of the step.
    """

    def __init__(
        self,
        steps: Sequence[ShortcutStep],
        constants: Any,
        tables: Any,
        sources: Mapping[int, Callable[..., Any]],
    ) -> None:
        self._steps = steps
        self._constants, self._tables = constants, tables
        self._sources = sources

    def value(self, index: int, channel: Any) -> Any:
        """The int8 value of step `index`, as an int32 expression."""
        step = self._steps[index]
        if isinstance(step, Lookup):
            key = self._sum(Term(step.source, 0, 1), channel) + (step.table + 128)
            return fixed_point.hold("entry", T.cast(self._tables[key], "int32"))
        total = self._offset(step, channel)
        for term in step.terms:
            factor = tirx.const(term.factor, "int64")
            if term.factors != SCALAR:
                factor = T.cast(self._constants[channel + term.factors], "int64")
            total = total + T.cast(self._sum(term, channel), "int64") * factor
        total = fixed_point.hold("total", total, "int64")
        rounded = fixed_point.shift_half_even(total, step.shift)
        clamped = fixed_point.clamp(rounded, step.minimum, step.maximum)
        return fixed_point.hold("value", clamped)

    def _offset(self, step: Affine, channel: Any) -> Any:
        if step.offsets == SCALAR:
            return tirx.const(step.offset, "int64")
        offset = T.cast(self._constants[channel + step.offsets], "int64")
        return offset * tirx.const(1 << step.offsets_shift, "int64")

    def _sum(self, term: Term, channel: Any) -> Any:
        if term.source in self._sources:
            return self._sources[term.source](term, channel)
        total = None
        for j in range(term.count):
            position = channel + (term.first + j * term.stride)
            nearest = position
            if term.guarded:
                nearest = T.min(T.max(position, term.begin), term.end - 1)
            value = self.value(term.source, nearest) - term.zero
            if term.guarded:
                inside = tirx.all(position >= term.begin, position < term.end)
                value = T.Select(inside, value, tirx.const(0, "int32"))
            total = value if total is None else total + value
        return total
