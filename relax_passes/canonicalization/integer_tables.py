"""The table of an elementwise region between a dequantize and a quantize."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..operators import tables
from .activation_functions import recognize
from .dataflow import is_call
from .elementwise_region import Region
from .fold_constants import clip_bounds

Parameters = tuple[float, int, float, int]
"""Input scale and zero point, output scale and zero point."""

_LITERT: dict[str, Callable[..., np.ndarray]] = {
    "relax.abs": tables.absolute,
    "relax.exp": tables.exp,
    "relax.log": tables.log,
    "relax.nn.gelu": tables.gelu,
    "relax.nn.relu": tables.relu,
    "relax.rsqrt": tables.rsqrt,
    "relax.sigmoid": tables.logistic,
    "relax.sqrt": tables.sqrt,
    "relax.tanh": tables.tanh,
}


def table_of_region(region: Region, parameters: Parameters, rounding: str) -> np.ndarray:
    """256 int8 numbers, indexed by the quantized input plus 128.

    Where LiteRT has an int8 kernel for the function, its arithmetic; elsewhere float arithmetic.
    """
    if rounding == "double":
        table = _litert_table(region, parameters)
        if table is not None:
            return table
    nearest = "half_away" if rounding == "double" else "half_even"
    return tables.table_of(region, *parameters, rounding=nearest)


def _litert_table(region: Region, parameters: Parameters) -> np.ndarray | None:
    if len(region.members) == 1:
        (call,) = region.calls
        if is_call(call, "relax.clip"):
            return tables.relu(*parameters, *clip_bounds(call))
        if is_call(call, "relax.nn.leakyrelu"):
            return tables.leaky_relu(*parameters, float(call.attrs.alpha))
        if is_call(call, "relax.nn.gelu_tanh"):
            return tables.gelu(*parameters, approximate=True)
        function = _LITERT.get(call.op.name)
        return None if function is None else function(*parameters)
    known = recognize(region)
    if known is not None and known["function"] == "hard_swish":
        return tables.hard_swish(*parameters)
    if known is not None and known["function"] == "elu" and abs(known["alpha"] - 1.0) < 1e-6:
        return tables.elu(*parameters)
    return None
