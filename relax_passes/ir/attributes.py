"""The attributes in which passes leave what they found for those that come after them.

They travel in the module: on ``main``, or on the function of a cascade.  Whoever reads one does
so here, whether or not the function has any attributes.
"""

from __future__ import annotations

from typing import Any

import tvm

# --- of main -------------------------------------------------------------------------------------

NOTES = "dero.notes"
"""Reasons why something was left alone, one sentence each."""

ROUNDING = "dero.rounding"
"""``double`` (LiteRT's arithmetic, if absent) or ``single`` (the closest to ONNX Runtime's)."""

UNSIGNED_LAYERS = "dero.unsigned_layers"
"""True if layers with weights had uint8 operands before they became int8."""

INPUT_LAYOUTS = "dero.input_layouts"
"""For each input the order in which its axes are declared now."""

STATES = "dero.states"
"""What lasts from one inference to the next: see `states`."""

STREAM_INPUTS, STREAM_OUTPUTS = "dero.stream_inputs", "dero.stream_outputs"
"""Indices of the parameters and results that the application trades row by row."""

DECISIONS = "dero.decisions"
"""What was decided about joins and why: see `decisions`."""

MADE_AGAIN = "dero.made_again"
"""The bindings that repeat others, so that a tensor need not wait: see ``MakeAgain``."""

RESIDUALS = "dero.residuals"
"""The joins that ``IdentifyResiduals`` found."""

CLASSES = "dero.classes"
"""The class of each operator, from ``ClassifyOperators``."""

REORGANIZATION = "dero.reorganization"
"""The description of a reorganized network."""

FINDINGS = (RESIDUALS, CLASSES)
"""Those that name tensors of ``main``, so that their names have to stay."""

# --- of a cascade's function ---------------------------------------------------------------------

CASCADE = "dero.cascade"
"""Why its operators run together; what makes a function a cascade."""

IN_PLACE = "dero.in_place"
"""The parameter whose buffer the result takes, by its index."""

DIRECTION = "dero.direction"
"""Whether its rows are made from the first to the last or from the last to the first."""

HAS_PORTS = "dero.row_ports"
"""True if it trades rows of inputs or outputs with the application."""


def function_attributes(function: tvm.ir.BaseFunc) -> dict[str, Any]:
    """All attributes of a function."""
    return dict(function.attrs.items()) if function.attrs is not None else {}


def attribute(function: tvm.ir.BaseFunc, name: str, default: Any = None) -> Any:
    """One attribute of a function, or `default` if it has none of this name."""
    attrs = function.attrs
    return attrs[name] if attrs is not None and name in attrs else default


def main_attribute(mod: tvm.IRModule, name: str, default: Any = None) -> Any:
    """One attribute of ``main``, or `default` if it has none of this name."""
    return attribute(mod["main"], name, default)


def with_main_attribute(mod: tvm.IRModule, name: str, value: object) -> tvm.IRModule:
    """A copy of `mod` in which ``main`` has one more attribute; None takes it away."""
    main = mod["main"]
    copy = mod.clone()
    copy["main"] = main.without_attr(name) if value is None else main.with_attr(name, value)
    return copy


def streamed_inputs(mod: tvm.IRModule) -> tuple[int, ...]:
    """Indices of main's parameters that the application hands over row by row."""
    return _indices(mod, STREAM_INPUTS)


def streamed_outputs(mod: tvm.IRModule) -> tuple[int, ...]:
    """Indices of main's results that the application takes row by row."""
    return _indices(mod, STREAM_OUTPUTS)


def _indices(mod: tvm.IRModule, name: str) -> tuple[int, ...]:
    return tuple(int(index) for index in main_attribute(mod, name, ()))
