"""Which of `unary`'s functions a region of elementwise operators computes.

Exporters spell the same function in many ways (``x * clip(x + 3, 0, 6) / 6``,
``x * (clip(x / 6 + 0.5, 0, 1))``, ...).  Instead of a list of spellings, the region is evaluated
on a grid and compared with each function there.  The grid reaches beyond every kink and tail of
the candidates, and the spellings in question are compositions of a dozen operators, so two
different ones do not agree on hundreds of points to 1e-9.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .elementwise_region import Region

_GRID = np.concatenate([np.linspace(-12.0, 12.0, 769), [-0.001, 0.001, -30.0, 30.0]])
_TOLERANCE = 1e-6  # the constants in a model are float32

_erf = np.vectorize(math.erf, otypes=[np.float64])


def _candidates(region: Region) -> list[tuple[dict[str, Any], Callable[[np.ndarray], np.ndarray]]]:
    at = {x: float(region(np.array([x]))[0]) for x in (-1.0, 0.0, 0.01)}
    slope = -at[-1.0]
    elu = at[-1.0] / (math.exp(-1.0) - 1.0)
    hard_beta = at[0.0]
    hard_alpha = (at[0.01] - at[0.0]) / 0.01
    return [
        ({"function": "silu"}, lambda x: x / (1 + np.exp(-x))),
        ({"function": "hard_swish"}, lambda x: x * np.clip(x + 3, 0, 6) / 6),
        ({"function": "gelu"}, lambda x: 0.5 * x * (1 + _erf(x * math.sqrt(0.5)))),
        (
            {"function": "gelu_tanh"},
            lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
        ),
        (
            {"function": "hard_sigmoid", "alpha": hard_alpha, "beta": hard_beta},
            lambda x: np.clip(hard_alpha * x + hard_beta, 0, 1),
        ),
        ({"function": "leaky_relu", "alpha": slope}, lambda x: np.where(x >= 0, x, slope * x)),
        (
            {"function": "elu", "alpha": elu},
            lambda x: np.where(x >= 0, x, elu * (np.exp(np.minimum(x, 0)) - 1)),
        ),
        ({"function": "sigmoid"}, lambda x: 1 / (1 + np.exp(-x))),
        ({"function": "tanh"}, np.tanh),
    ]


def recognize(region: Region) -> dict[str, Any] | None:
    """Attributes of the `unary` operator that computes what `region` does; None if none does."""
    values = region(_GRID)
    if not np.isfinite(values).all():
        return None
    for attributes, function in _candidates(region):
        expected = function(_GRID)
        scale = np.maximum(np.abs(expected), 1.0)
        if (np.abs(values - expected) <= _TOLERANCE * scale).all():
            return attributes
    return None
