"""Activations as PyTorch modules: one of PyTorch's own, or a small class where it has none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dero_tvm.boundary.errors import UserError
from relax_passes.reorganization.description import Activation


@dataclass(frozen=True)
class ActivationClass:
    """A class without arguments that computes an activation.

    `expression` names it; `source` is its definition, where PyTorch has no such class.
    """

    expression: str
    source: str = ""


IDENTITY = ActivationClass("nn.Identity")

_OWN = {
    "sigmoid": "nn.Sigmoid",
    "tanh": "nn.Tanh",
    "silu": "nn.SiLU",
    "hard_swish": "nn.Hardswish",
    "gelu": "nn.GELU",
    "relu": "nn.ReLU",
}
_FUNCTIONS = {
    "exp": "x.exp()",
    "log": "x.log()",
    "sqrt": "x.sqrt()",
    "rsqrt": "x.rsqrt()",
    "abs": "x.abs()",
    "negative": "-x",
    "floor": "x.floor()",
    "ceil": "x.ceil()",
    "round": "x.round()",
    "erf": "x.erf()",
    "sin": "x.sin()",
    "cos": "x.cos()",
    "tan": "x.tan()",
    "asin": "x.asin()",
    "acos": "x.acos()",
    "atan": "x.atan()",
    "sinh": "x.sinh()",
    "cosh": "x.cosh()",
    "asinh": "x.asinh()",
    "acosh": "x.acosh()",
    "atanh": "x.atanh()",
    "sign": "x.sign()",
    "trunc": "x.trunc()",
    "softmax": "x.softmax(1)",
}


def activation_class(activation: Activation | None) -> ActivationClass:
    """The class for an activation; ``nn.Identity`` for None.

    Raises
    ------
    UserError
        If PyTorch has no such function.
    """
    if activation is None:
        return IDENTITY
    low, high = activation.minimum, activation.maximum
    if activation.function == "clip":
        return _clip(low, high)
    plain = _unclipped(activation)
    if low is None and high is None:
        return plain
    name = f"Clipped{plain.expression.removeprefix('nn.')}"
    parent = plain.expression
    clamp = _clamp("super().forward(x)", low, high)
    source = _class(name, parent, f"{parent}, limited to {_range(low, high)}.", clamp)
    return ActivationClass(name, "\n\n\n".join(filter(None, [plain.source, source])))


def _clip(low: float | None, high: float | None) -> ActivationClass:
    if low is None and high is None:
        return IDENTITY
    if low == 0 and high is None:
        return ActivationClass("nn.ReLU")
    if (low, high) == (0, 6):
        return ActivationClass("nn.ReLU6")
    name = f"Clip{_in_name(low)}To{_in_name(high)}"
    return ActivationClass(
        name,
        _class(name, "nn.Module", f"x, limited to {_range(low, high)}.", _clamp("x", low, high)),
    )


def _unclipped(activation: Activation) -> ActivationClass:
    name, alpha, beta = activation.function, float(activation.alpha), float(activation.beta)
    if name in _OWN:
        return ActivationClass(_OWN[name])
    if name == "leaky_relu":
        slope = _number(alpha)
        return _derived(f"LeakyReLU{_in_name(alpha)}", "nn.LeakyReLU", slope, f"slope {slope}")
    if name == "elu":
        factor = _number(alpha)
        return _derived(f"ELU{_in_name(alpha)}", "nn.ELU", factor, f"factor {factor}")
    if name == "gelu_tanh":
        return _derived("TanhGELU", "nn.GELU", 'approximate="tanh"', "tanh's approximation")
    if name == "hard_sigmoid":
        own = "HardSigmoid"
        body = f"(x * {_number(alpha)} + {_number(beta)}).clamp(0.0, 1.0)"
        return ActivationClass(own, _class(own, "nn.Module", "A line, limited to [0, 1].", body))
    if name == "line":
        own = f"Times{_in_name(alpha)}Plus{_in_name(beta)}"
        body = f"x * {_number(alpha)} + {_number(beta)}"
        return ActivationClass(own, _class(own, "nn.Module", f"{body}.", body))
    if name in _FUNCTIONS:
        own = name.capitalize()
        of = "over the channels" if name == "softmax" else "of each element"
        return ActivationClass(own, _class(own, "nn.Module", f"{own} {of}.", _FUNCTIONS[name]))
    raise UserError(f"the activation {name!r} cannot be written as a PyTorch module")


def _derived(name: str, parent: str, argument: str, what: str) -> ActivationClass:
    own = parent.removeprefix("nn.")
    return ActivationClass(
        name,
        f"class {name}({parent}):\n"
        f'    """{own} with {what}."""\n\n'
        "    def __init__(self) -> None:\n"
        f"        super().__init__({argument})",
    )


def _class(name: str, parent: str, summary: str, result: str) -> str:
    return (
        f"class {name}({parent}):\n"
        f'    """{summary}"""\n\n'
        "    def forward(self, x: Tensor) -> Tensor:\n"
        f"        return {result}"
    )


def _clamp(value: str, low: float | None, high: float | None) -> str:
    limits = [("min", low), ("max", high)]
    given = ", ".join(f"{name}={_number(limit)}" for name, limit in limits if limit is not None)
    return f"{value}.clamp({given})"


def _range(low: float | None, high: float | None) -> str:
    below = "(-inf" if low is None else f"[{_number(low)}"
    above = "inf)" if high is None else f"{_number(high)}]"
    return f"{below}, {above}"


def _number(value: float) -> str:
    """The shortest expression of this number in float32, the type that the model has it in."""
    text = repr(float(str(np.float32(value))))
    return text if np.isfinite(value) else f'float("{text}")'


def _in_name(value: float | None) -> str:
    """A number as part of a class name: -0.5 -> Minus0_5."""
    if value is None:
        return "Inf"
    text = f"{abs(value):g}".replace(".", "_").replace("-", "m").replace("+", "")
    return f"Minus{text}" if value < 0 else text
