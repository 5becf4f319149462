"""The rounded values of an int8 shortcut as fixed-point steps of `dero.shortcut_conv2d`.

A factor f becomes ``round(f * 2**shift)`` with one shift for all factors of a step, so that the
largest one has 31 bits; the products are added in 64 bits and rounded once.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from tvm import relax

from ..operators.shortcut_steps import CONV, DATA, Affine, Lookup, ShortcutStep, Term, encode
from .channel_runs import Run, runs, uniform
from .channel_sums import NotLinear, SlidingWindow
from .shortcut_reader import RoundedStep, ShortcutReader, TableStep

_FACTOR_BITS = 31
_LARGEST_SHIFT = 48  # keeps offsets, which are a few thousand at most, within 64 bits
_LEAST_SHIFT = 1


class IntegerSteps:
    """Collects steps, with the constants and tables that they refer to."""

    def __init__(self, reader: ShortcutReader, source: relax.Var, conv: relax.Var) -> None:
        self._reader = reader
        self._leaves = {source: DATA, conv: CONV}
        self._steps: list[ShortcutStep] = []
        self._constants: list[np.ndarray] = []
        self._tables: list[np.ndarray] = []
        self._windows: list[set[SlidingWindow | None]] = []  # of the data, for each step
        self._moves_data: list[bool] = []  # whether a step reads data of another channel

    def step_of(self, expr: relax.Expr) -> int:
        """The number of the step that computes the int8 tensor `expr`.  Raises `NotLinear`."""
        source = self._whole_source(expr)
        for step in self._reader.steps[len(self._steps) :]:
            self._windows.append(set())
            self._moves_data.append(False)
            self._steps.append(self._compiled(step))
        if not isinstance(source, int):
            raise NotLinear("ends in a padding or slice of channels")
        return source

    def normalisation(self, expr: relax.Expr) -> int:
        """The step that computes the convolution's input `expr`; -1 if that is the data itself.

        One channel has one scale, so its normalisation can leave every integer as it is and only
        change what it stands for.  Raises `NotLinear`.
        """
        source = self._whole_source(expr)
        return -1 if self._leaves.get(source) == DATA else self.step_of(expr)

    def _whole_source(self, expr: relax.Expr) -> Any:
        """The leaf or step that `expr` has all channels of in their order; None for others."""
        value = self._reader.raw(expr)
        (term,) = value.terms if len(value.terms) == 1 else (None,)
        if term is None or not np.array_equal(term.channels, np.arange(value.channels)):
            return None
        return term.source

    def window(self, result: int, normalisation: int) -> SlidingWindow | None:
        """The window of the data under step `result`; None for a pixel.  Raises `NotLinear`.

        The step `normalisation`, if there is one, has to read single pixels of its own channel.
        """
        found = {window for step in self._below(result) for window in self._windows[step]}
        if len(found) > 1:
            raise NotLinear("is pooled in two different ways")
        if normalisation >= 0:
            below = self._below(normalisation)
            windows = {window for step in below for window in self._windows[step]}
            if windows != {None} or any(self._moves_data[step] for step in below):
                raise NotLinear(
                    "is taken from an input that the convolution reads in another order"
                )
        return found.pop() if found else None

    def _below(self, result: int) -> set[int]:
        """The steps that `result` is computed from, itself included."""
        wanted = {result}
        for index in range(result, -1, -1):
            if index in wanted:
                wanted.update(s for s in _sources(self._steps[index]) if s >= 0)
        return wanted

    def encoded(self) -> tuple:
        """The steps as an attribute."""
        return encode(self._steps)

    def constants(self) -> list[relax.Expr]:
        """The vectors of constants and of tables; one element stands for none."""
        found = []
        for vectors, dtype in ((self._constants, np.int32), (self._tables, np.int8)):
            joined = np.concatenate(vectors) if vectors else np.zeros(1, dtype)
            found.append(relax.const(joined.astype(dtype)))
        return found

    def _compiled(self, step: RoundedStep | TableStep) -> ShortcutStep:
        if isinstance(step, TableStep):
            if self._number(step.source) == DATA:
                self._windows[-1].add(None)
            return Lookup(self._number(step.source), self._append(self._tables, step.table))
        found = runs(step.value)
        if not found:
            raise NotLinear("is constant")
        largest = max(float(np.abs(run.coefficients).max()) for run in found)
        if largest == 0.0:
            raise NotLinear("is constant")
        shift = min(_FACTOR_BITS - math.frexp(largest)[1], _LARGEST_SHIFT)
        while round(math.ldexp(largest, shift)) >= 1 << _FACTOR_BITS:
            shift -= 1
        if shift < _LEAST_SHIFT:
            raise NotLinear(f"has a factor of {largest:.6g} between two scales")
        terms = tuple(self._term(run, shift) for run in found)
        return self._with_offset(terms, step, shift)

    def _term(self, run: Run, shift: int) -> Term:
        source, complete = self._number(run.source), bool(run.reads().all())
        moves = bool(run.first) or run.count > 1 or not complete
        if source == DATA:
            self._windows[-1].add(run.window)
            self._moves_data[-1] |= moves
        if source == CONV and (moves or run.window is not None):
            raise NotLinear("is added to some of the convolution's channels only")
        scaled = np.rint(np.ldexp(run.coefficients, shift)).astype(np.int64)
        present = scaled[run.reads().any(0)]
        same = uniform(present)
        place = {
            "source": source,
            "zero": run.zero,
            "first": run.first,
            "count": run.count,
            "stride": run.stride,
            "begin": run.begin,
            "end": run.end,
            "guarded": int(not complete),
        }
        if same is not None:
            return Term(factor=int(same), **place)
        return Term(factor=0, factors=self._append(self._constants, scaled), **place)

    def _with_offset(self, terms: tuple[Term, ...], step: RoundedStep, shift: int) -> Affine:
        bounds = {"minimum": step.minimum, "maximum": step.maximum}
        same = uniform(step.value.offset)
        if same is not None:
            return Affine(terms, round(math.ldexp(same, shift)), shift, **bounds)
        largest = float(np.abs(step.value.offset).max())
        down = max(math.frexp(largest)[1] + shift - _FACTOR_BITS, 0)
        scaled = np.rint(np.ldexp(step.value.offset, shift - down))
        limited = np.clip(scaled, -(2.0**31), 2.0**31 - 1).astype(np.int64)
        start = self._append(self._constants, limited)
        return Affine(terms, 0, shift, offsets=start, offsets_shift=down, **bounds)

    def _number(self, source: Any) -> int:
        return source if isinstance(source, int) else self._leaves[source]

    def _append(self, vectors: list[np.ndarray], values: np.ndarray) -> int:
        start = sum(len(vector) for vector in vectors)
        vectors.append(values)
        return start


def _sources(step: ShortcutStep) -> list[int]:
    return [step.source] if isinstance(step, Lookup) else [term.source for term in step.terms]
