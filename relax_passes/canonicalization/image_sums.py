"""Element sums of an image that treat every pixel alike, as sums of channels.

    element_sum[0, o, i, j]  =  offset[o]  +  sum over terms of
        coefficient[o] * source[0, channel[o], stride * i + dy, stride * j + dx]

where the elements that are missing are those outside of the source.  Terms of the same channels
whose (dy, dx) fill a rectangle are the sum of a window.  `channel_sum` finds this form.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from ..shortcuts.channel_sums import NO_CHANNEL, ChannelSum, ChannelTerm, NotLinear, SlidingWindow
from .element_sums import ABSENT, ElementSum, ElementTerm

_NO_WINDOW = "adds up pixels that fill no window"
_EQUAL = 1e-6  # relative; factors are products of float32 numbers


@dataclass(frozen=True)
class Numbering:
    """The elements of a source of shape [1, channels, height, width], numbered from `first` on."""

    source: Hashable
    first: int
    shape: tuple[int, int, int, int]

    @property
    def end(self) -> int:
        return self.first + prod(self.shape)


@dataclass(frozen=True, eq=False)
class _Regular:
    """One term: the channel that each channel reads, the row of each row, the column of each."""

    numbering: Numbering
    present: np.ndarray  # [channels, height, width]
    channels: np.ndarray  # NO_CHANNEL where there is none
    coefficients: np.ndarray
    positions: tuple[np.ndarray, np.ndarray]  # of rows and of columns, -1 outside


@dataclass(frozen=True, eq=False)
class _Shifted:
    """One term whose pixels follow each other at equal distances."""

    term: _Regular
    shifts: tuple[int, int]


def occurring(
    term: ElementTerm, numberings: Iterable[Numbering]
) -> Iterator[tuple[Numbering, np.ndarray]]:
    """The numberings of which a term has elements, and where; they are in ascending order."""
    present = term.numbers[term.numbers != ABSENT]
    if not present.size:
        return
    low, high = int(present.min()), int(present.max())
    for numbering in numberings:
        if numbering.first > high:
            return
        if numbering.end > low:
            inside = (term.numbers >= numbering.first) & (term.numbers < numbering.end)
            if inside.any():
                yield numbering, inside


def channel_sum(value: ElementSum, numberings: Mapping[Any, Numbering]) -> ChannelSum:
    """`value`, of shape [1, channels, height, width], as sums of channels.  Raises `NotLinear`."""
    if len(value.shape) != 4 or value.shape[0] != 1:
        raise NotLinear("is no image")
    offset = value.offset[0, :, 0, 0]
    if (value.offset != offset[None, :, None, None]).any():
        raise NotLinear("has summands that differ from pixel to pixel")
    _check_different(value)
    groups: dict[Hashable, list[_Regular]] = {}
    for term in value.terms:
        for numbering, inside in occurring(term, numberings.values()):
            numbers = np.where(inside, term.numbers - numbering.first, ABSENT)
            regular = _regular(ElementTerm(numbers, term.coefficients), numbering)
            groups.setdefault(numbering.source, []).append(regular)
    terms = (term for group in groups.values() for term in _windows(group))
    return ChannelSum(tuple(terms), offset)


def _check_different(value: ElementSum) -> None:
    """Raise `NotLinear` for a pixel that is added twice, of which no window consists.

    Windows of windows have as many terms as there are ways through them: a look at the pixel in
    the middle tells before all pixels of all terms are looked at.
    """
    row, column = value.shape[2] // 2, value.shape[3] // 2
    seen: set[bytes] = set()
    for term in value.terms:
        numbers = term.numbers[0, :, row, column]
        if (numbers == ABSENT).all():
            continue
        if numbers.tobytes() in seen:
            raise NotLinear(_NO_WINDOW)
        seen.add(numbers.tobytes())


def _regular(term: ElementTerm, numbering: Numbering) -> _Regular:
    """A term of one source, if channels, rows and columns do not depend on each other."""
    present = term.numbers[0] != ABSENT
    channel, row, column = np.unravel_index(np.maximum(term.numbers[0], 0), numbering.shape[1:])
    spread = term.spread[0]
    channels = np.where(present, channel, NO_CHANNEL).max((1, 2))
    rows = np.where(present, row, -1).max((0, 2))
    columns = np.where(present, column, -1).max((0, 1))
    coefficients = np.where(present, spread, -np.inf).max((1, 2))
    regular = (
        (channel == channels[:, None, None])
        & (row == rows[None, :, None])
        & (column == columns[None, None, :])
        & (spread == coefficients[:, None, None])
    )
    if not regular[present].all():
        raise NotLinear("moves pixels or channels")
    coefficients = np.where(channels == NO_CHANNEL, 0.0, coefficients)
    return _Regular(numbering, present, channels, coefficients, (rows, columns))


def _windows(terms: list[_Regular]) -> Iterator[ChannelTerm]:
    """Terms of one source; those of the same channels that fill a window become one."""
    steps = _step(terms, 0), _step(terms, 1)
    groups: dict[bytes, list[_Shifted]] = {}
    for term in terms:
        groups.setdefault(term.channels.tobytes(), []).append(_shifted(term, steps))
    for group in groups.values():
        yield _window(group, steps)


def _step(terms: list[_Regular], axis: int) -> int:
    """The distance of pixels that are read for neighbouring ones."""
    steps = set()
    for positions in (term.positions[axis] for term in terms):
        (here,) = np.nonzero(positions >= 0)
        if len(here) > 1:
            steps.add(int(positions[here[1]] - positions[here[0]]) // int(here[1] - here[0]))
    if len(steps) > 1 or min(steps, default=1) < 1:
        raise NotLinear("moves pixels")
    if steps:
        return steps.pop()
    positions = terms[0].positions[axis]
    if len(positions) > 1:
        raise NotLinear("has windows of which none has two pixels inside the image")
    # One window: it may move by anything that leaves no room for a second.
    last = max(int(term.positions[axis][0]) for term in terms)
    return max(2, terms[0].numbering.shape[2 + axis] - last)


def _shifted(term: _Regular, steps: tuple[int, int]) -> _Shifted:
    reads = (term.channels != NO_CHANNEL)[:, None, None]
    shifts = []
    for axis, (positions, step) in enumerate(zip(term.positions, steps)):
        (here,) = np.nonzero(positions >= 0)
        shift = int(positions[here[0]]) - step * int(here[0])
        wanted = np.arange(len(positions)) * step + shift
        inside = (wanted >= 0) & (wanted < term.numbering.shape[2 + axis])
        if (positions[inside] != wanted[inside]).any():
            raise NotLinear("moves pixels")
        reads = reads & inside.reshape((1, -1, 1) if axis == 0 else (1, 1, -1))
        shifts.append(shift)
    if (reads != term.present).any():
        raise NotLinear("leaves out pixels")
    return _Shifted(term, (shifts[0], shifts[1]))


def _window(group: list[_Shifted], steps: tuple[int, int]) -> ChannelTerm:
    first = group[0].term
    for other in group:
        if not np.allclose(other.term.coefficients, first.coefficients, rtol=_EQUAL, atol=0.0):
            raise NotLinear("weights the pixels of a window differently")
    spots = {shifted.shifts for shifted in group}
    low = [min(spot[axis] for spot in spots) for axis in (0, 1)]
    height, width = (max(spot[axis] for spot in spots) - low[axis] + 1 for axis in (0, 1))
    if len(spots) != len(group) or height * width != len(group) or max(low) > 0:
        raise NotLinear(_NO_WINDOW)
    before, after = [-low[0], -low[1]], []
    for axis, extent in enumerate((height, width)):
        length, count = first.numbering.shape[2 + axis], len(first.positions[axis])
        after.append(max((count - 1) * steps[axis] + extent - before[axis] - length, 0))
        if (length + before[axis] + after[axis] - extent) // steps[axis] + 1 != count:
            raise NotLinear("leaves out pixels at the border")
        if max(before[axis], after[axis]) >= extent:
            raise NotLinear("is padded around the image")
    window: SlidingWindow | None = ((height, width), steps, (*before, *after))
    if window == ((1, 1), (1, 1), (0, 0, 0, 0)):
        window = None
    return ChannelTerm(first.numbering.source, 0, first.channels, first.coefficients, window)
