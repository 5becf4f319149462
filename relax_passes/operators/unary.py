"""Functions of one float32 variable, element by element."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from tvm import tirx
from tvm.script import tirx as T

from .element_map import ElementMap
from .fixed_point import clamp, let
from .operand_checks import check_choices, single_operand
from .registry import REQUIRED, register
from .signature import Signature, TensorSpec


def _real(value: float):
    return tirx.const(value, "float32")


def _sigmoid(x):
    return _real(1.0) / (_real(1.0) + T.exp(_real(0.0) - x))


def _gelu_tanh(x):
    inner = _real(math.sqrt(2 / math.pi)) * (x + _real(0.044715) * x * x * x)
    return _real(0.5) * x * (_real(1.0) + T.tanh(inner))


# Each entry maps an element (a name, so it may be used repeatedly), alpha and beta to the result.
_FUNCTIONS: dict[str, Callable[[Any, float, float], Any]] = {
    "relu": lambda x, alpha, beta: T.max(x, _real(0.0)),
    "leaky_relu": lambda x, alpha, beta: T.Select(x >= _real(0.0), x, x * _real(alpha)),
    "sigmoid": lambda x, alpha, beta: _sigmoid(x),
    "tanh": lambda x, alpha, beta: T.tanh(x),
    "silu": lambda x, alpha, beta: x * _sigmoid(x),
    "hard_sigmoid": lambda x, alpha, beta: clamp(
        x * _real(alpha) + _real(beta), 0.0, 1.0, "float32"
    ),
    "hard_swish": lambda x, alpha, beta: (
        x * clamp(x + _real(3.0), 0.0, 6.0, "float32") * _real(1 / 6)
    ),
    "gelu": lambda x, alpha, beta: _real(0.5) * x * (_real(1.0) + T.erf(x * _real(math.sqrt(0.5)))),
    "gelu_tanh": lambda x, alpha, beta: _gelu_tanh(x),
    "elu": lambda x, alpha, beta: T.Select(
        x >= _real(0.0), x, _real(alpha) * (T.exp(T.min(x, _real(0.0))) - _real(1.0))
    ),
    "exp": lambda x, alpha, beta: T.exp(x),
    "log": lambda x, alpha, beta: T.log(x),
    "sqrt": lambda x, alpha, beta: T.sqrt(x),
    "rsqrt": lambda x, alpha, beta: _real(1.0) / T.sqrt(x),
    "abs": lambda x, alpha, beta: T.Select(x < _real(0.0), _real(0.0) - x, x),
    "negative": lambda x, alpha, beta: _real(0.0) - x,
    "floor": lambda x, alpha, beta: T.floor(x),
    "ceil": lambda x, alpha, beta: T.ceil(x),
    "round": lambda x, alpha, beta: T.nearbyint(x),
    "erf": lambda x, alpha, beta: T.erf(x),
    "sin": lambda x, alpha, beta: T.sin(x),
    "cos": lambda x, alpha, beta: T.cos(x),
    "tan": lambda x, alpha, beta: T.tan(x),
    "asin": lambda x, alpha, beta: T.asin(x),
    "acos": lambda x, alpha, beta: T.acos(x),
    "atan": lambda x, alpha, beta: T.atan(x),
    "sinh": lambda x, alpha, beta: T.sinh(x),
    "cosh": lambda x, alpha, beta: T.cosh(x),
    "asinh": lambda x, alpha, beta: T.asinh(x),
    "acosh": lambda x, alpha, beta: T.acosh(x),
    "atanh": lambda x, alpha, beta: T.atanh(x),
    "sign": lambda x, alpha, beta: T.Select(
        x > _real(0.0), _real(1.0), T.Select(x < _real(0.0), _real(-1.0), _real(0.0))
    ),
    "trunc": lambda x, alpha, beta: T.Select(x < _real(0.0), T.ceil(x), T.floor(x)),
    "clip": lambda x, alpha, beta: x,
}

FUNCTIONS = tuple(_FUNCTIONS)
"""The names that attribute `function` takes."""


def function_of(attrs: Mapping[str, Any], element: Any) -> Any:
    """TIR expression: what `unary` with these attributes makes of a float32 `element`."""
    function = _FUNCTIONS[attrs["function"]]
    alpha, beta = float(attrs["alpha"]), float(attrs["beta"])
    low, high = attrs["minimum"], attrs["maximum"]
    return let(
        "x", element, "float32", lambda x: clamp(function(x, alpha, beta), low, high, "float32")
    )


@register
class Unary(ElementMap):
    """A float32 function of each element: ``out = clamp(function(data), minimum, maximum)``.

    ``alpha`` is the slope of ``leaky_relu`` and ``hard_sigmoid`` (``clamp(alpha * x + beta, 0,
    1)``) and the factor of ``elu``.  ``round`` takes ties to even.  ``gelu`` uses the error
    function, ``gelu_tanh`` its usual approximation.
    """

    name = "unary"
    defaults = {
        "function": REQUIRED,
        "alpha": 0.0,
        "beta": 0.0,
        "minimum": None,
        "maximum": None,
    }

    def infer(self, inputs: tuple[TensorSpec, ...], attrs: dict[str, Any]) -> TensorSpec:
        """The data's shape and type."""
        check_choices(self.name, attrs, function=FUNCTIONS)
        data = single_operand(self.name, inputs, ("float32",))  # lookup serves int8
        return TensorSpec(data.shape, data.dtype)

    def element(self, signature: Signature, value: Any) -> Any:
        return function_of(signature.attrs, value)
