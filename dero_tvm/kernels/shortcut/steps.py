"""The steps of a virtual shortcut as C: see `relax_passes.operators.shortcut_steps`.

Numbers go into an array of constants, so that operations of one structure share a function; of
them only the shifts, which instructions have in themselves, and the limits stand in the text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from relax_passes.operators.shortcut_steps import (
    DATA,
    SCALAR,
    Affine,
    Lookup,
    ShortcutStep,
    Term,
)

from .ties import may_tie

NUMBERS, PER_CHANNEL, TABLES = "shortcut_numbers", "shortcut_factors", "shortcut_tables"
"""Constant arrays: numbers of one shortcut, int64; what each channel has, int32; tables, int8."""

Source = Callable[[Term, str, list[str]], str]
"""Gives the C expression for the sum of a term's channels, less its zero, for a channel of the
step; statements that come before go into the list."""


class Numbers:
    """Numbers that get a name each: the array of their values, and the statements that read it."""

    def __init__(self) -> None:
        self._values: list[int] = []
        self._declarations: list[str] = []
        self._unique = 0

    def name(self, value: int, *, wide: bool = False) -> str:
        """The name of a constant in C with this value, of 32 bits or 64."""
        name = f"n{len(self._values)}"
        read = f"{NUMBERS}[{len(self._values)}]"
        self._values.append(value)
        self._declarations.append(
            f"const int64_t {name} = {read};"
            if wide
            else f"const int32_t {name} = (int32_t){read};"
        )
        return name

    def unique(self, name: str) -> str:
        """`name` with something behind it that no other has."""
        self._unique += 1
        return f"{name}_{self._unique}"

    def declarations(self) -> str:
        """The statements that declare all names."""
        return "\n".join(self._declarations)

    def array(self) -> np.ndarray:
        """What the names stand for."""
        return np.array(self._values, np.int64)


def plus(expression: str, value: int, numbers: Numbers) -> str:
    """A sum with a number, which is left out if it is 0."""
    return f"{expression} + {numbers.name(value)}" if value else expression


def times(expression: str, value: int) -> str:
    """A product with a number, which is left out if it is 1."""
    return expression if value == 1 else f"{expression} * {value}"


def less(expression: str, value: int, numbers: Numbers) -> str:
    """A difference from a number, which is left out if it is 0."""
    return f"{expression} - {numbers.name(value)}" if value else expression


class StepText:
    """Statements for the steps at one pixel; `sources` are data and the convolution's result.

    `taps` is the most elements of a channel of the data that are summed, and 1 if it is always one;
    `constants` are what the steps have for each channel.
    """

    def __init__(
        self,
        steps: Sequence[ShortcutStep],
        numbers: Numbers,
        sources: Mapping[int, Source],
        taps: int,
        constants: np.ndarray,
    ) -> None:
        self._steps = steps
        self._numbers = numbers
        self._sources = sources
        self._taps = taps
        self._constants = constants

    def value(self, index: int, channel: str, before: list[str]) -> str:
        """The name of the int8 value of step `index`, computed in statements of `before`."""
        step = self._steps[index]
        number = self._numbers.name
        if isinstance(step, Lookup):
            key = self._sum(Term(step.source, 0, 1), channel, before)
            place = number(step.table + 128)
            return self._named("int32_t", f"{TABLES}[{key} + {place}]", before)
        total, zeros = "", 0
        for term in step.terms:
            if self._has_fixed_zero(term):
                zeros += term.zero * term.count * term.factor
                term = replace(term, zero=0)
            amount = self._sum(term, channel, before)
            if term.factors == SCALAR:
                factor = number(term.factor)
            else:
                factor = f"{PER_CHANNEL}[{plus(channel, term.factors, self._numbers)}]"
            total += f" + (int64_t)({amount}) * {factor}"
        total = self._offset(replace(step, offset=step.offset - zeros), channel) + total
        nudged = self._named("int64_t", total, before)
        rounded = f"(int32_t)({nudged} >> {step.shift})"
        if may_tie(step, self._steps, self._constants, self._taps):
            rounded = f"dsp_to_even({nudged}, {step.shift})"
        clamped = f"shortcut_clamped({rounded}, {step.minimum}, {step.maximum})"
        return self._named("int32_t", clamped, before)

    def _offset(self, step: Affine, channel: str) -> str:
        """What is added to the terms, with half of what is shifted out."""
        number, half = self._numbers.name, 1 << (step.shift - 1)
        if step.offsets == SCALAR:
            return number(step.offset + half, wide=True)
        offset = f"{PER_CHANNEL}[{plus(channel, step.offsets, self._numbers)}]"
        return (
            f"{number(half, wide=True)} + {offset} * {number(1 << step.offsets_shift, wide=True)}"
        )

    def _has_fixed_zero(self, term: Term) -> bool:
        """Whether its zero counts as often for every channel and pixel, and can be in the offset.

        An offset for each channel has no room for it.
        """
        return (
            term.factors == SCALAR and not term.guarded and (term.source != DATA or self._taps == 1)
        )

    def _sum(self, term: Term, channel: str, before: list[str]) -> str:
        if term.source in self._sources:
            return self._sources[term.source](term, channel, before)
        parts = []
        number = self._numbers.name
        for j in range(term.count):
            place = plus(channel, term.first + j * term.stride, self._numbers)
            if not term.guarded:
                parts.append(less(self.value(term.source, place, before), term.zero, self._numbers))
                continue
            begin, end = number(term.begin), number(term.end)
            place = self._named("int32_t", place, before)
            nearest = f"shortcut_clamped({place}, {begin}, {end} - 1)"
            nearest = self._named("int32_t", nearest, before)
            value = less(self.value(term.source, nearest, before), term.zero, self._numbers)
            parts.append(f"({place} == {nearest} ? {value} : 0)")  # a channel that is none is zero
        return " + ".join(parts)

    def _named(self, dtype: str, expression: str, before: list[str]) -> str:
        name = self._numbers.unique("value")
        before.append(f"const {dtype} {name} = {expression};")
        return name
