"""The channels of a sum as loops: ``source[c + first + j * stride]`` for j below a count.

A shortcut that is padded or folded touches channels in this regular way.  `runs` finds the loops
in a `ChannelSum`, and merges slices that are added with equal factors into one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .channel_sums import ChannelSum, ChannelTerm, NotLinear, SlidingWindow

_EQUAL = 1e-6  # relative; factors are products of float32 numbers


@dataclass(frozen=True, eq=False)
class Run:
    """Channel c reads ``source[c + first + j * stride]``, j < count, from ``[begin, end)``."""

    source: Any
    zero: int
    window: SlidingWindow | None
    coefficients: np.ndarray  # one a channel; 0 where no j has a channel
    first: int
    begin: int
    end: int
    count: int = 1
    stride: int = 0

    def reads(self) -> np.ndarray:
        """``[count, channels]``: whether channel c has a channel of the source for j."""
        channels = np.arange(len(self.coefficients)) + self.first
        positions = channels + self.stride * np.arange(self.count)[:, None]
        return (positions >= self.begin) & (positions < self.end)


def runs(total: ChannelSum) -> list[Run]:
    """The loops of a sum.  Raises `NotLinear` if its channels are in no such order."""
    groups: dict[Any, list[Run]] = {}
    for term in total.terms:
        if term.present.any():
            key = (term.source, term.zero, term.window)
            groups.setdefault(key, []).append(_single(term))
    found = []
    for group in map(_completed, groups.values()):
        group.sort(key=lambda run: run.first)
        merged = _merged(group)
        found += group if merged is None else [merged]
    return found


def _single(term: ChannelTerm) -> Run:
    present = term.present
    here = np.flatnonzero(present)
    shifts = term.channels[here] - here
    if (shifts != shifts[0]).any():
        raise NotLinear("rearranges channels")
    first = int(shifts[0])
    run = Run(
        term.source,
        term.zero,
        term.window,
        np.where(present, term.coefficients, 0.0),
        first,
        int(term.channels[here].min()),
        int(term.channels[here].max()) + 1,
    )
    if not np.array_equal(run.reads()[0], present):
        raise NotLinear("leaves out channels in between")
    return run


def _completed(group: Sequence[Run]) -> list[Run]:
    """Runs that are parts of one, as those of a concatenation are: the others and whole ones."""
    whole: list[Run] = []
    for run in sorted(group, key=lambda run: (run.first, run.begin)):
        joined = _joined(whole[-1], run) if whole else None
        whole[-1:] = [*whole[-1:], run] if joined is None else [joined]
    return whole


def _joined(run: Run, other: Run) -> Run | None:
    """Two runs of one slice as one; None if they overlap, or leave out channels between them."""
    reads, others = run.reads()[0], other.reads()[0]
    if run.first != other.first or (reads & others).any():
        return None
    joined = replace(
        run,
        coefficients=run.coefficients + other.coefficients,
        begin=min(run.begin, other.begin),
        end=max(run.end, other.end),
    )
    return joined if np.array_equal(joined.reads()[0], reads | others) else None


def _merged(group: Sequence[Run]) -> Run | None:
    """All runs of one source as one; None if they differ by more than their position."""
    if len(group) == 1:
        return group[0]
    strides = {b.first - a.first for a, b in zip(group, group[1:])}
    if len(strides) != 1 or strides == {0}:
        return None
    first = group[0]
    coefficients = _common(run.coefficients for run in group)
    if coefficients is None:
        return None
    merged = Run(
        first.source,
        first.zero,
        first.window,
        coefficients,
        first.first,
        min(run.begin for run in group),
        max(run.end for run in group),
        len(group),
        strides.pop(),
    )
    separate = np.concatenate([run.reads() for run in group])
    return merged if np.array_equal(merged.reads(), separate) else None


def _common(vectors: Iterable[np.ndarray]) -> np.ndarray | None:
    """The factors of several runs where they agree wherever they are not 0."""
    common: np.ndarray | None = None
    for vector in vectors:
        if common is None:
            common = vector
            continue
        both = (common != 0.0) & (vector != 0.0)
        if not np.allclose(common[both], vector[both], rtol=_EQUAL, atol=0.0):
            return None
        common = np.where(common != 0.0, common, vector)
    return common


def uniform(values: np.ndarray) -> float | None:
    """The number that all entries are, if they are one."""
    return float(values[0]) if (values == values[0]).all() else None
