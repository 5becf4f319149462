"""Weights and tables as ``const`` C arrays."""

from __future__ import annotations

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
_LINE = 100


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
    """Definition of a constant with its values."""
    head = declaration(prefix, constant, array).removeprefix("extern ").rstrip(";")
    return f"{head} = {{\n{_values(array)}\n}};"


def _values(array: np.ndarray) -> str:
    words = _floats(array) if array.dtype.kind == "f" else _integers(array)
    lines, line = [], " "
    for word in words or ["0"]:
        if len(line) + len(word) + 2 > _LINE:
            lines.append(line)
            line = " "
        line += f" {word},"
    lines.append(line)
    return "\n".join(lines)


def _integers(array: np.ndarray) -> list[str]:
    if array.dtype == np.bool_:
        return [str(int(v)) for v in array.ravel()]
    if array.dtype == np.int32:  # the least int32 has no literal of its own type
        return ["INT32_MIN" if v == -(2**31) else str(v) for v in array.ravel().tolist()]
    if array.dtype == np.int64:
        return ["INT64_MIN" if v == -(2**63) else f"{v}LL" for v in array.ravel().tolist()]
    return [str(v) for v in array.ravel().tolist()]


def _floats(array: np.ndarray) -> list[str]:
    return [float_literal(value, str(array.dtype)) for value in array.ravel().tolist()]
