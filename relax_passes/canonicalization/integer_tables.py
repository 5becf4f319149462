"""The table of an elementwise region between a dequantize and a quantize."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from tvm import relax

from ..ir.dataflow import is_call
from ..operators import tables
from ..operators.binary_tables import Operand, table_of_binary
from ..operators.quantized import activation_range
from ..operators.rules.registry import Rules
from ..operators.tables import Scales
from .activation_functions import recognize
from .elementwise_region import Region
from .epilogue import float_bounds

LITERT_TABLES: Rules[Callable[[Any, Scales], np.ndarray]] = Rules("LiteRT's tables")
"""The table that LiteRT has for one operator, from the call and the scales."""

_BINARY = ("relax.add", "relax.subtract", "relax.multiply")


def table_of_region(region: Region, scales: Scales, rounding: str) -> np.ndarray:
    """256 int8 numbers, indexed by the quantized input plus 128.

    Where LiteRT has an int8 kernel for the function, its arithmetic; elsewhere float32 arithmetic,
    operator by operator.
    """
    if rounding == "double":
        table = _litert_table(region, scales)
        if table is not None:
            return table
    nearest = "half_away" if rounding == "double" else "half_even"
    return tables.table_of(region, scales, rounding=nearest)


def _litert_table(region: Region, scales: Scales) -> np.ndarray | None:
    if len(region.members) == 1:
        (call,) = region.calls
        rule = LITERT_TABLES.get(call)
        if rule is not None:
            return rule(call, scales)
    if is_call(region.calls[0], *_BINARY):
        table = _binary_table(region, scales)
        if table is not None:
            return table
    known = recognize(region)
    if known is not None and known["function"] == "hard_swish":
        return tables.hard_swish(scales)
    if known is not None and known["function"] == "elu" and abs(known["alpha"] - 1.0) < 1e-6:
        return tables.elu(scales)
    return None


def _binary_table(region: Region, scales: Scales) -> np.ndarray | None:
    """ADD, SUB or MUL of the tensor and a quantized constant, or of the tensor and itself.

    With the clamps fused into it; None if it is something else.
    """
    call, *clamps = region.calls
    constants = [arg for arg in call.args if not arg.same_as(region.source)]
    if not all(region.scalar(constant).is_quantized for constant in constants):
        return None
    output = scales.output_scale, scales.output_zero_point
    low, high = -math.inf, math.inf
    for clamp in clamps:
        bounds = float_bounds(clamp)
        if bounds is None:
            return None
        low, high = max(low, bounds[0]), min(high, bounds[1])
    a, b = (
        Operand.every_input(scales.input_scale, scales.input_zero_point)
        if arg.same_as(region.source)
        else _scalar_operand(region, arg)
        for arg in call.args
    )
    name = call.op.name.removeprefix("relax.")
    try:
        table = table_of_binary(name, a, b, *output, "double")
    except ValueError:  # scales that int8 arithmetic does not have
        return None
    least, greatest = (None if math.isinf(bound) else bound for bound in (low, high))
    return np.clip(table, *activation_range(*output, least, greatest))


def _scalar_operand(region: Region, expr: relax.Expr) -> Operand:
    constant = region.scalar(expr)
    assert constant.scale is not None and constant.zero_point is not None
    parts = (constant.values, constant.scale, constant.zero_point)
    values, scale, zero = (part.item() for part in parts)
    return Operand(values, scale, zero)
