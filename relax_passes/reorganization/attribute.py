"""The description of a reorganized network as it travels in the module: main's attribute.

``dero.reorganization`` holds the architecture as JSON.  The weights are the constants of the
module itself, which `write_network` put behind names that follow from the nodes'.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import tvm
from tvm import relax
from tvm.ir import Call, GenericConst

from ..ir.attributes import (
    FINDINGS,
    REORGANIZATION,
    function_attributes,
    main_attribute,
    with_main_attribute,
)
from ..ir.straight_line import read_function
from . import description as reorganization
from .description import Architecture, Convolution, Dense, KeptOperator, Reorganization
from .write_network import write_network


def write_reorganization(mod: tvm.IRModule, network: Reorganization) -> tvm.IRModule:
    """A module whose main is `network`; other attributes of `mod`'s main stay."""
    function = write_network(network)
    for name, value in function_attributes(mod["main"]).items():
        if name not in FINDINGS:
            function = function.with_attr(name, value)
    written = tvm.IRModule({"main": function}, attrs=mod.attrs)
    text = json.dumps(_plain(network.architecture), separators=(",", ":"))
    return with_main_attribute(written, REORGANIZATION, text)


def read_reorganization(mod: tvm.IRModule) -> Reorganization:
    """The network that ``ReorganizeResiduals`` left in `mod`.

    Raises ``ValueError`` if it did not run, or if a later pass has rewritten the layers.
    """
    written = main_attribute(mod, REORGANIZATION)
    if written is None:
        raise ValueError("the module is not reorganized: ReorganizeResiduals has not run on it")
    architecture = _value(json.loads(str(written)))
    calls = {var.name: value for var, value in read_function(mod).bindings}
    return Reorganization(architecture, _weights(architecture, calls))


def _weights(architecture: Architecture, calls: Mapping[str, relax.Expr]) -> dict[str, np.ndarray]:
    weights: dict[str, np.ndarray] = {}
    for node in architecture.nodes:
        if isinstance(node, Dense):
            weights[f"{node.name}.weight"] = _constant(calls, node.variable, 1)
            weights[f"{node.name}.bias"] = _constant(calls, node.variable, 2)
        if isinstance(node, KeptOperator):
            for place, _ in node.constants:
                key = f"{node.name}.constant{place}"
                weights[key] = _constant(calls, node.variable, place)
        if isinstance(node, Convolution):
            variable = f"{node.variable}_conv"
            weights[f"{node.name}.weight"] = _constant(calls, variable, 1)
            if node.bias:
                weights[f"{node.name}.bias"] = _constant(calls, variable, 2)
            if node.norm == "after":
                shift = _constant(calls, f"{node.variable}_out_normalized", 1)
                weights[f"{node.name}.shift"] = shift.ravel()
    return weights


def _constant(calls: Mapping[str, relax.Expr], variable: str, argument: int) -> np.ndarray:
    call = calls.get(variable)
    found = call.args[argument:] if isinstance(call, Call) else ()
    if not found or not isinstance(found[0], GenericConst):
        raise ValueError(
            f"{variable} is no longer in the module: passes after ReorganizeResiduals rewrote it"
        )
    return found[0].value.numpy()


def _plain(value: Any) -> Any:
    """Frozen dataclasses as maps with the name of their type, tuples as lists."""
    if is_dataclass(value):
        named = {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
        return {"type": type(value).__name__, **named}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _value(plain: Any) -> Any:
    if isinstance(plain, list):
        return tuple(_value(item) for item in plain)
    if isinstance(plain, dict):
        given = {name: _value(item) for name, item in plain.items() if name != "type"}
        return getattr(reorganization, plain["type"])(**given)
    return plain
