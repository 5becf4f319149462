"""Weights and tables as ``const`` C arrays."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from .float_literals import float_literal
from .names import c_identifier
from .program import Program

_C_TYPES = {
    "int8": "int8_t",
    "uint8": "uint8_t",
    "int16": "int16_t",
    "uint16": "uint16_t",
    "int32": "int32_t",
    "uint32": "uint32_t",
    "int64": "int64_t",
    "float32": "float",
    "float64": "double",
    "bool": "bool",
}
_PER_LINE = {1: 16, 2: 12, 4: 6, 8: 4}  # values, by bytes of a value: about 100 columns


def c_type(dtype: str) -> str:
    """The C type of an element."""
    return _C_TYPES[dtype]


def used_constants(program: Program) -> list[str]:
    """Names of the constants that some kernel reads, in order of first use."""
    names: dict[str, None] = {}
    for step in program.steps:
        for stage in step.stages:
            for argument in stage.arguments:
                if not isinstance(argument, int) and argument.address.base.startswith("constant:"):
                    names.setdefault(argument.address.base.removeprefix("constant:"))
    return list(names)


def array_name(prefix: str, constant: str) -> str:
    """C name of a constant's array."""
    return f"{prefix}_{c_identifier(constant)}"


def declaration(prefix: str, constant: str, array: np.ndarray) -> str:
    """``extern`` declaration of a constant."""
    kind = c_type(str(array.dtype))
    return f"extern const {kind} {array_name(prefix, constant)}[{max(array.size, 1)}];"


def definition(prefix: str, constant: str, array: np.ndarray) -> str:
    """Definition of a constant with its values, after its declaration.

    ``-Wmissing-variable-declarations`` asks for the latter.
    """
    declared = declaration(prefix, constant, array)
    head = declared.removeprefix("extern ").rstrip(";")
    return f"{declared}\n{head} = {{\n{_values(array)}\n}};"


def _values(array: np.ndarray) -> str:
    word = _word(array.dtype)
    flat = array.ravel() if array.size else np.zeros(1, array.dtype)
    width = _PER_LINE[array.dtype.itemsize]
    lines = (flat[start : start + width].tolist() for start in range(0, flat.size, width))
    return "\n".join(f"  {', '.join(map(word, line))}," for line in lines)


def _word(dtype: np.dtype) -> Callable[[Any], str]:
    """How a value of this type is written in C."""
    if dtype.kind == "f":
        return partial(float_literal, dtype=str(dtype))
    if dtype == np.bool_:
        return lambda value: str(int(value))
    if dtype == np.int32:  # the least integer of a type has no literal of its own type
        return lambda value: "INT32_MIN" if value == -(2**31) else str(value)
    if dtype == np.int64:
        return lambda value: "INT64_MIN" if value == -(2**63) else f"{value}LL"
    return str
