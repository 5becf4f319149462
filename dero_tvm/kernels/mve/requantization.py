"""How four sums at a time become int8: which function of `c/mve_requantize.h`, with what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from relax_passes.operators import Signature
from relax_passes.operators.fixed_point import int8_limits

_LARGEST_SHIFT = {"double": -1, "single": -2}
_SMALLEST_SHIFT = -31


@dataclass(frozen=True, eq=False)
class Requantization:
    """The last steps of an operator with ``bias``, ``multiplier`` and ``shift``.

    The arrays are int32 with an entry a channel; `bias` has the input's zero point in it.
    """

    rounding: str  # "double" or "single": the C function is mve_scale_<rounding>
    scale: str  # or a quicker one with the same results behind the limits
    offset: int
    low: int
    high: int
    bias: np.ndarray
    multiplier: np.ndarray
    shift: np.ndarray

    @property
    def limits(self) -> str:
        """The arguments of the C functions that store."""
        return f"{self.offset}, {self.low}, {self.high}"


def requantization(
    signature: Signature, constants: Mapping[str, np.ndarray], weight_sums: np.ndarray
) -> Requantization | None:
    """The requantization of an operator whose channels have weights of these sums.

    None for factors that the vector functions cannot apply: those of 1/2 and more (with one
    rounding, of 1/4 and more), and those with which products can be ties that go to even.
    """
    rounding = signature["rounding"]
    if rounding not in _LARGEST_SHIFT:
        return None
    multiplier = constants["multiplier"].astype(np.int32)
    # A factor of zero has any shift.
    shift = np.where(multiplier == 0, _LARGEST_SHIFT[rounding], constants["shift"])
    if shift.max() > _LARGEST_SHIFT[rounding] or shift.min() < _SMALLEST_SHIFT:
        return None
    bias = constants["bias"] - signature["input_zero_point"] * weight_sums.astype(np.int64)
    if np.any(bias != bias.astype(np.int32)):
        return None
    low, high = int8_limits(signature)
    offset = int(signature["output_zero_point"])
    scale = f"mve_scale_{rounding}"
    if rounding == "single":
        shift = shift + 1
    elif offset <= low:
        scale = "mve_scale_rectified"
    return Requantization(
        rounding,
        scale,
        offset,
        low,
        high,
        bias.astype(np.int32),
        multiplier,
        shift.astype(np.int32),
    )


def in_blocks(columns: list[np.ndarray], block: int) -> np.ndarray:
    """Columns of one entry a channel as [blocks, columns, block], the last entry repeated."""
    padded = [np.pad(column, (0, -len(column) % block), mode="edge") for column in columns]
    return np.stack([column.reshape(-1, block) for column in padded], axis=1)
