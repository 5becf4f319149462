"""Element sums of an image that treat every pixel alike, as sums of channels.

    element_sum[0, o, i, j]  =  offset[o]  +  sum over terms of
        coefficient[o] * source[0, channel[o], stride * i + dy, stride * j + dx]

where the elements that are missing are those outside of the source.  Terms of the same channels
whose (dy, dx) fill a rectangle are the sum of a window.  `channel_sum` finds this form.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from ..channel_sums import NO_CHANNEL, ChannelSum, ChannelTerm, NotLinear, Window
from .element_sums import ABSENT, ElementSum, ElementTerm

_EQUAL = 1e-6  # relative; factors are products of float32 numbers


@dataclass(frozen=True)
class Numbering:
    """The elements of a source of shape [1, channels, height, width], numbered from `first` on."""

    source: Hashable
    first: int
    shape: tuple[int, int, int, int]

    @property
    def end(self) -> int:
        return self.first + int(np.prod(self.shape))


@dataclass(frozen=True, eq=False)
class _Shifted:
    """One term: which channel each channel reads, and from which pixel."""

    numbering: Numbering
    channels: np.ndarray
    coefficients: np.ndarray
    steps: tuple[int | None, int | None]  # None: there is but one row or column
    shifts: tuple[int, int]


def channel_sum(value: ElementSum, numberings: Mapping[Hashable, Numbering]) -> ChannelSum:
    """`value`, of shape [1, channels, height, width], as sums of channels.  Raises `NotLinear`."""
    if len(value.shape) != 4 or value.shape[0] != 1:
        raise NotLinear("is no image")
    offset = value.offset[0, :, 0, 0]
    if (value.offset != offset[None, :, None, None]).any():
        raise NotLinear("has summands that differ from pixel to pixel")
    found: list[_Shifted] = []
    for term in value.terms:
        for numbering in numberings.values():
            inside = (term.numbers >= numbering.first) & (term.numbers < numbering.end)
            if inside.any():
                numbers = np.where(inside, term.numbers - numbering.first, ABSENT)
                found.append(_shifted(ElementTerm(numbers, term.coefficients), numbering))
    return ChannelSum(tuple(_windows(found, value.shape[2:])), offset)


def _shifted(term: ElementTerm, numbering: Numbering) -> _Shifted:
    """The regular order in a term of one source."""
    present = term.numbers[0] != ABSENT
    channel, row, column = np.unravel_index(np.maximum(term.numbers[0], 0), numbering.shape[1:])
    channels = np.where(present, channel, NO_CHANNEL).max((1, 2))
    rows = np.where(present, row, -1).max((0, 2))
    columns = np.where(present, column, -1).max((0, 1))
    spread = term.spread[0]
    coefficients = np.where(present, spread, -np.inf).max((1, 2))
    regular = (
        (channel == channels[:, None, None])
        & (row == rows[None, :, None])
        & (column == columns[None, None, :])
        & (spread == coefficients[:, None, None])
    )
    if not regular[present].all():
        raise NotLinear("moves pixels or channels")
    steps, shifts = zip(*(_progression(positions) for positions in (rows, columns)))
    reads = (channels != NO_CHANNEL)[:, None, None]
    for axis, (positions, length) in enumerate(zip((rows, columns), numbering.shape[2:])):
        step, shift = steps[axis], shifts[axis]
        wanted = np.arange(len(positions)) * (step or 1) + shift
        inside = (wanted >= 0) & (wanted < length)
        if step is None:
            inside = positions >= 0
        if ((positions >= 0) != inside).any() or (positions[inside] != wanted[inside]).any():
            raise NotLinear("moves pixels or channels")
        reads = reads & inside.reshape((1, -1, 1) if axis == 0 else (1, 1, -1))
    if (reads != present).any():
        raise NotLinear("leaves out pixels")
    return _Shifted(
        numbering, channels, np.where(channels == NO_CHANNEL, 0.0, coefficients), steps, shifts
    )


def _progression(positions: np.ndarray) -> tuple[int | None, int]:
    """Step and start of positions that are one apart; those below 0 are outside."""
    (here,) = np.nonzero(positions >= 0)
    if len(here) < 2:
        return (None, int(positions[here[0]]) - int(here[0])) if len(here) else (None, 0)
    step = int(positions[here[1]] - positions[here[0]]) // int(here[1] - here[0])
    return step, int(positions[here[0]]) - step * int(here[0])


def _windows(terms: list[_Shifted], size: tuple[int, ...]) -> Iterator[ChannelTerm]:
    """Terms of the same channels that fill a window, as one each."""
    groups: dict[Hashable, list[_Shifted]] = {}
    for term in terms:
        group = groups.setdefault((term.numbering.source, term.channels.tobytes()), [])
        group.append(term)
    for group in groups.values():
        yield _window(group, size)


def _window(group: list[_Shifted], size: tuple[int, ...]) -> ChannelTerm:
    first = group[0]
    coefficients = first.coefficients
    spots = {term.shifts for term in group}
    if any(
        not np.allclose(term.coefficients, coefficients, rtol=_EQUAL, atol=0.0) for term in group
    ):
        raise NotLinear("weights the pixels of a window differently")
    low = [min(spot[axis] for spot in spots) for axis in (0, 1)]
    extent = tuple(max(spot[axis] for spot in spots) - low[axis] + 1 for axis in (0, 1))
    if len(spots) != len(group) or extent[0] * extent[1] != len(group):
        raise NotLinear("adds up pixels that fill no window")
    image = first.numbering.shape[2:]
    steps, before, after = [], [], []
    for axis in (0, 1):
        known = {term.steps[axis] for term in group} - {None}
        if len(known) > 1 or low[axis] > 0:
            raise NotLinear("moves pixels")
        step = known.pop() if known else _only_step(image[axis] - low[axis] - extent[axis])
        reached = (size[axis] - 1) * step + extent[axis] + low[axis]
        steps.append(step)
        before.append(-low[axis])
        after.append(max(reached - image[axis], 0))
        if (image[axis] - low[axis] + after[axis] - extent[axis]) // step + 1 != size[axis]:
            raise NotLinear("leaves out pixels at the border")
    window: Window | None = (extent, (steps[0], steps[1]), (*before, *after))
    if window == ((1, 1), (1, 1), (0, 0, 0, 0)):
        window = None
    return ChannelTerm(first.numbering.source, 0, first.channels, coefficients, window)


def _only_step(room: int) -> int:
    """The stride of a window that stays where it is, with `room` pixels behind it."""
    return 1 if room <= 0 else max(2, room + 1)
