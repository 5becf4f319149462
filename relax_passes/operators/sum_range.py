"""How large the int32 sums of an int8 operator can become."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .fixed_point import INT8_MAX, INT8_MIN


@dataclass(frozen=True, eq=False)
class SumRange:
    """The least and the greatest sum of each filter, int64."""

    low: np.ndarray
    high: np.ndarray

    @staticmethod
    def of(weight: np.ndarray, zero_point: int) -> SumRange:
        """Of weights [filters, taps] that meet int8 data; padding counts as zeros in between."""
        ends = np.stack(
            [weight.astype(np.int64) * (end - zero_point) for end in (INT8_MIN, INT8_MAX)]
        )
        return SumRange(ends.min(axis=0).sum(axis=1), ends.max(axis=0).sum(axis=1))

    @staticmethod
    def of_elements(count: int, zero_point: int) -> SumRange:
        """Of `count` int8 elements, each less the zero point."""
        return SumRange.of(np.full((1, 1), count), zero_point)

    def with_bias(self, bias: np.ndarray) -> SumRange:
        """The same of sums to which `bias`, one number a filter, is added."""
        return SumRange(self.low + bias.astype(np.int64), self.high + bias.astype(np.int64))

    @property
    def greatest(self) -> np.ndarray:
        """Of each filter, without its sign."""
        return np.maximum(np.abs(self.low), np.abs(self.high))

    def overflows(self, multiplier: np.ndarray, shift: np.ndarray) -> np.ndarray:
        """Which filters' sums, or sums times ``multiplier * 2**(shift - 31)``, leave int32."""
        greatest = self.greatest.astype(np.float64)
        factor = np.ldexp(np.asarray(multiplier, np.float64), np.asarray(shift) - 31)
        return greatest * np.maximum(factor, 1.0) > np.iinfo(np.int32).max
