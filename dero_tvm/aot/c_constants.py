"""Weights and tables as ``const`` C arrays."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ..kernels.float_literals import float_literal
from .names import c_identifier, c_identifiers
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
# Values on a line of at most 100 columns, by bytes of a value.
_INTEGERS = {1: 16, 2: 12, 4: 7, 8: 4}
_FLOATS = {4: 5, 8: 3}
_LONGEST_WORD = 24  # of the three in the name of an array


def c_type(dtype: str) -> str:
    """The C type of an element."""
    return _C_TYPES[dtype]


def array_names(program: Program, prefix: str) -> dict[str, str]:
    """C names of the arrays that the C source reads: operator, result, what it is to the kernel.

    The third operand of a convolution that makes ``lv4`` is ``<prefix>_conv2d_lv4_bias``.  A
    constant of several operators is named after the first.
    """
    wanted: dict[str, str] = {}
    for step in program.steps:
        for stage in step.stages:
            for argument, parameter in stage.in_c.passed:
                if isinstance(argument, int) or not argument.address.base.startswith("constant:"):
                    continue
                operator = stage.operation.signature.operator.split(".")[-1]
                words = (operator, stage.operation.name, parameter.name)
                name = "_".join(c_identifier(word)[:_LONGEST_WORD] for word in words)
                wanted.setdefault(argument.address.base.removeprefix("constant:"), name)
    return dict(zip(wanted, (f"{prefix}_{name}" for name in c_identifiers(wanted.values()))))


def declaration(name: str, array: np.ndarray) -> str:
    """``extern`` declaration of a constant as the C array `name`."""
    return f"extern const {c_type(str(array.dtype))} {name}[{max(array.size, 1)}];"


def definition(name: str, array: np.ndarray) -> str:
    """Definition of a constant with its values, after its declaration.

    ``-Wmissing-variable-declarations`` asks for the latter.
    """
    declared = declaration(name, array)
    head = declared.removeprefix("extern ").rstrip(";")
    return f"{declared}\n{head} = {{\n{_values(array)}\n}};"


def words_of(name: str, array: np.ndarray) -> str:
    """The part of `definition` that has names of the C library in it, if any part has."""
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        return definition(name, array)
    return declaration(name, array)


def _values(array: np.ndarray) -> str:
    word = _word(array)
    flat = array.ravel() if array.size else np.zeros(1, array.dtype)
    width = (_FLOATS if array.dtype.kind == "f" else _INTEGERS)[array.dtype.itemsize]
    values = flat.tolist()
    lines = (values[start : start + width] for start in range(0, len(values), width))
    if word is str:  # as Python prints a list of them, which takes a fourth of the time
        return "\n".join(f"  {str(line)[1:-1]}," for line in lines)
    return "\n".join(f"  {', '.join(map(word, line))}," for line in lines)


def _word(array: np.ndarray) -> Callable[[Any], str]:
    """How a value of this array is written in C."""
    dtype = array.dtype
    if dtype.kind == "f":
        return partial(float_literal, dtype=str(dtype))
    if dtype == np.bool_:
        return lambda value: str(int(value))
    # The least integer of a type has no literal of its own type.
    if dtype == np.int32 and array.size and array.min() == -(2**31):
        return lambda value: "INT32_MIN" if value == -(2**31) else str(value)
    if dtype == np.int64:
        return lambda value: "INT64_MIN" if value == -(2**63) else f"{value}LL"
    return str
