"""What rules of quantized operators share: operands, factors, clamps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tvm import relax

from ..operators import quantized as factors
from ..operators.fixed_point import INT8_MAX, INT8_MIN
from ..operators.rules.registry import Refusal
from ..operators.sum_range import SumRange
from .epilogue import Epilogue


@dataclass(frozen=True)
class Quantized:
    """A new int8 tensor with what its integers mean."""

    data: relax.Expr
    scale: float
    zero_point: int


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
        epilogue.scale, epilogue.zero_point, epilogue.low, epilogue.high
    )
    low = low if epilogue.minimum is None else max(low, epilogue.minimum)
    high = high if epilogue.maximum is None else min(high, epilogue.maximum)
    return {
        "minimum": None if low <= INT8_MIN else low,
        "maximum": None if high >= INT8_MAX else high,
    }


def refuse_overflow(sums: SumRange, multiplier: Any, shift: Any) -> None:
    """Raises :class:`Refusal` if a sum, or its product with the factor, could leave int32."""
    if sums.overflows(multiplier, shift).any():
        raise Refusal("its sums can leave the range of 32 bits with these scales")
