"""Tables of int8 sums, differences and products of a tensor and a constant, or of it and itself.

A table has ``table[q + 128]`` for the quantized input `q`, as those of `tables` have.  Its entries
are what the operators `add`, `subtract` and `multiply` compute, in the same fixed point: LiteRT's
ADD, SUB and MUL with ``double`` rounding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .fixed_point import INT8, INT8_MAX, INT8_MIN, multiply_numpy
from .quantized import add_factors, multiply_factors, subtract_factors


@dataclass(frozen=True, eq=False)
class Operand:
    """Integers, and what they stand for: ``scale * (values - zero_point)``."""

    values: np.ndarray | int
    scale: float
    zero_point: int

    @staticmethod
    def every_input(scale: float, zero_point: int) -> Operand:
        """All int8 numbers in the order of a table."""
        return Operand(INT8, scale, zero_point)

    @property
    def centred(self) -> np.ndarray:
        return np.asarray(self.values, np.int64) - self.zero_point


def table_of_binary(
    name: str, a: Operand, b: Operand, scale: float, zero_point: int, rounding: str
) -> np.ndarray:
    """The table of `name` (``add``, ``subtract``, ``multiply``); an operand is `every_input`.

    Raises ``ValueError`` for scales that the operator cannot have in int8.
    """
    if name == "multiply":
        factor = multiply_factors(a.scale, b.scale, scale)
        result = multiply_numpy(a.centred * b.centred, *factor, rounding)
    else:
        factors_of = add_factors if name == "add" else subtract_factors
        factors = factors_of(a.scale, b.scale, scale)
        of_a, of_b, of_result = zip(factors["multipliers"], factors["shifts"])
        left_shift = factors["left_shift"]
        terms = [
            multiply_numpy(operand.centred << left_shift, *factor, rounding)
            for operand, factor in ((a, of_a), (b, of_b))
        ]
        total = terms[0] + terms[1] if name == "add" else terms[0] - terms[1]
        result = multiply_numpy(total, *of_result, rounding)
    return np.clip(result + zero_point, INT8_MIN, INT8_MAX).astype(np.int8)
