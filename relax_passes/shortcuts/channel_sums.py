"""What a shortcut computes, whatever it is written with: sums of channels of few tensors.

Pooling by addition, padding and slicing of channels, concatenation, factors and summands for each
channel, additions: a `ChannelSum` is what any chain of these amounts to.  For channel c it is

    sum over terms of coefficient[c] * source[channel[c]]  +  offset[c]

where a term without a channel for c contributes nothing, and a *pooled* source stands for the sum
of a window of it.  Two spellings of one shortcut give equal sums.

Numbers are real ones in float32 networks.  An int8 tensor q is a source as ``q - zero``, with the
zero point that its reader has for it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

NO_CHANNEL = -1

Window = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
"""Size, strides, and padding (top, left, bottom, right) of a pooling."""


class NotLinear(Exception):
    """Why something is no sum of channels, in words that follow "the shortcut"."""


@dataclass(frozen=True, eq=False)
class ChannelTerm:
    """One summand of every channel; see the module's docstring.

    `source` is a hashable name of a tensor.
    """

    source: Any
    zero: int
    channels: np.ndarray  # int64, NO_CHANNEL where the term is absent
    coefficients: np.ndarray  # float64
    window: Window | None = None

    @property
    def present(self) -> np.ndarray:
        return self.channels != NO_CHANNEL


@dataclass(frozen=True, eq=False)
class ChannelSum:
    """A tensor's channels as sums of other tensors' channels."""

    terms: tuple[ChannelTerm, ...]
    offset: np.ndarray  # float64, one entry a channel

    @staticmethod
    def of(source: Any, channels: int, zero: int = 0) -> ChannelSum:
        """The tensor `source` itself."""
        term = ChannelTerm(source, zero, np.arange(channels), np.ones(channels))
        return ChannelSum((term,), np.zeros(channels))

    @staticmethod
    def constant(values: np.ndarray) -> ChannelSum:
        """Numbers that are known, one a channel."""
        return ChannelSum((), np.asarray(values, np.float64))

    @property
    def channels(self) -> int:
        return len(self.offset)

    def scaled(self, factor: np.ndarray | float) -> ChannelSum:
        """Times a number, or one for each channel."""
        terms = (replace(t, coefficients=t.coefficients * factor) for t in self.terms)
        return ChannelSum(tuple(terms), self.offset * factor)

    def shifted(self, summand: np.ndarray | float) -> ChannelSum:
        """Plus a number, or one for each channel."""
        return ChannelSum(self.terms, self.offset + summand)

    def plus(self, other: ChannelSum) -> ChannelSum:
        """The sum of two tensors of one shape."""
        return ChannelSum(self.terms + other.terms, self.offset + other.offset)

    def taken(self, channels: np.ndarray) -> ChannelSum:
        """The chosen channels, in that order (a slice)."""
        terms = (
            replace(t, channels=t.channels[channels], coefficients=t.coefficients[channels])
            for t in self.terms
        )
        return ChannelSum(tuple(terms), self.offset[channels])

    def placed(self, before: int, after: int, fill: float = 0.0) -> ChannelSum:
        """With `before` and `after` constant channels around it (a padding)."""
        terms = (
            replace(
                t,
                channels=np.pad(t.channels, (before, after), constant_values=NO_CHANNEL),
                coefficients=np.pad(t.coefficients, (before, after)),
            )
            for t in self.terms
        )
        return ChannelSum(tuple(terms), np.pad(self.offset, (before, after), constant_values=fill))

    def pooled(self, window: Window) -> ChannelSum:
        """The sum of a window of it.  Raises `NotLinear`."""
        if any(t.window is not None for t in self.terms):
            raise NotLinear("is pooled twice")
        if self.offset.any() and any(window[2]):
            raise NotLinear("is pooled with padding after something was added to it")
        count = window[0][0] * window[0][1]
        terms = (replace(t, window=window) for t in self.terms)
        return ChannelSum(tuple(terms), self.offset * count)
