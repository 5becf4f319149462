"""What rules of quantized operators share: operands, factors, clamps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tvm import relax

from ..operators import quantized as factors
from ..operators.fixed_point import type_limits
from ..operators.rules.registry import Refusal
from ..operators.sum_range import SumRange
from .epilogue import Epilogue


@dataclass(frozen=True)
class Quantized:
    """A new int8 or int16 tensor with what its integers mean."""

    data: relax.Expr
    scale: float
    zero_point: int
    dtype: str = "int8"


def integer_factors(function: Callable[..., Any], *args: Any) -> Any:
    """What `function` of `operators.quantized` returns; its ``ValueError`` becomes a refusal."""
    try:
        return function(*args)
    except ValueError as error:
        raise Refusal(str(error)) from None


def integer_clamp(epilogue: Epilogue) -> dict[str, int | None]:
    """``minimum`` and ``maximum`` in quantized units; None where the type's own bound serves."""
    assert epilogue.scale is not None
    low, high = factors.activation_range(
        epilogue.scale, epilogue.zero_point, epilogue.low, epilogue.high, epilogue.dtype
    )
    least, greatest = type_limits(epilogue.dtype)
    low = low if epilogue.minimum is None else max(low, epilogue.minimum)
    high = high if epilogue.maximum is None else min(high, epilogue.maximum)
    return {
        "minimum": None if low <= least else low,
        "maximum": None if high >= greatest else high,
    }


def refuse_overflow(sums: SumRange, multiplier: Any, shift: Any, rounding: str = "double") -> None:
    """Raises :class:`Refusal` if a sum, or its product with the factor, could leave int32."""
    if sums.overflows(multiplier, shift, rounding).any():
        raise Refusal("its sums can leave the range of 32 bits with these scales")
