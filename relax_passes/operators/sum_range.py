"""How large the sums of an operator on integers can become."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .fixed_point import MOST_REDUCED, type_limits


@dataclass(frozen=True, eq=False)
class SumRange:
    """The least and the greatest sum of each filter, int64."""

    low: np.ndarray
    high: np.ndarray

    @staticmethod
    def of(weight: np.ndarray, zero_point: int, dtype: str = "int8") -> SumRange:
        """Of weights [filters, taps] that meet data of `dtype`; padding counts as zeros between."""
        ends = np.stack(
            [weight.astype(np.int64) * (end - zero_point) for end in type_limits(dtype)]
        )
        return SumRange(ends.min(axis=0).sum(axis=1), ends.max(axis=0).sum(axis=1))

    @staticmethod
    def of_elements(count: int, zero_point: int, dtype: str = "int8") -> SumRange:
        """Of `count` elements, each less the zero point."""
        return SumRange.of(np.full((1, 1), count), zero_point, dtype)

    def with_bias(self, bias: np.ndarray) -> SumRange:
        """The same of sums to which `bias`, one number a filter, is added."""
        return SumRange(self.low + bias.astype(np.int64), self.high + bias.astype(np.int64))

    @property
    def greatest(self) -> np.ndarray:
        """Of each filter, without its sign."""
        return np.maximum(np.abs(self.low), np.abs(self.high))

    @property
    def narrow(self) -> bool:
        """Whether int32 holds all of them."""
        return bool((self.greatest <= np.iinfo(np.int32).max).all())

    def overflows(self, multiplier: np.ndarray, shift: np.ndarray, rounding: str) -> np.ndarray:
        """Which filters' sums, or sums times ``multiplier * 2**(shift - 31)``, leave int32.

        Where LiteRT has int64, sums may leave it.
        """
        greatest = self.greatest.astype(np.float64)
        factor = np.ldexp(np.asarray(multiplier, np.float64), np.asarray(shift) - 31)
        if rounding == "reduced":
            too_large = greatest * factor > np.iinfo(np.int32).max
            return too_large | (greatest >= MOST_REDUCED)
        return greatest * np.maximum(factor, 1.0) > np.iinfo(np.int32).max
