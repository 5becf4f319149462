"""Weights and tables as ``const`` C arrays."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from ..kernels.float_literals import float_literal
from .names import c_identifier, c_identifiers
from .program import Program
from .stages import Argument

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
_PIECE = 5 * 7 * 12 * 16 * 4  # values printed at once: whole lines of any type
# The least integer of a type has no literal of its own type.
_LEAST = {
    np.dtype(np.int32): (-(2**31), "INT32_MIN"),
    np.dtype(np.int64): (-(2**63), "INT64_MIN"),
}
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
        for stage in step.inner_stages:
            for argument, parameter in stage.in_c.passed:
                if not isinstance(argument, Argument) or not argument.address.base.startswith(
                    "constant:"
                ):
                    continue
                operator = stage.operation.signature.short_name
                words = (operator, stage.operation.name, parameter.name)
                name = "_".join(c_identifier(word)[:_LONGEST_WORD] for word in words)
                wanted.setdefault(argument.address.base.removeprefix("constant:"), name)
            for argument in stage.in_c.arguments:
                if isinstance(argument, Argument) and argument.table:
                    wanted.setdefault(argument.table, argument.table)
        for table in (name for stage in step.stages for name in stage.window_tables):
            wanted.setdefault(table, table)
        if step.calls is not None:
            wanted.setdefault(step.calls.constant, step.calls.constant)
    return dict(zip(wanted, (f"{prefix}_{name}" for name in c_identifiers(wanted.values()))))


def declaration(name: str, array: np.ndarray) -> str:
    """``extern`` declaration of a constant as the C array `name`."""
    return f"extern const {c_type(str(array.dtype))} {name}[{max(array.size, 1)}];"


def definition(name: str, array: np.ndarray) -> str:
    """Definition of a constant with its values, after its declaration.

    ``-Wmissing-variable-declarations`` asks for the latter.
    """
    return b"".join(definition_pieces(name, array)).decode()


def definition_pieces(name: str, array: np.ndarray) -> Iterator[bytes]:
    """`definition` in pieces, for text is several times as long as the values."""
    declared = declaration(name, array)
    head = declared.removeprefix("extern ").rstrip(";")
    yield f"{declared}\n{head} = {{\n".encode()
    flat = array.ravel() if array.size else np.zeros(1, array.dtype)
    for start in range(0, flat.size, _PIECE):
        yield _lines(flat[start : start + _PIECE])
    yield b"};"


def words_of(name: str, array: np.ndarray) -> str:
    """The part of `definition` that has names of the C library in it, if any part has."""
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        return definition(name, array)
    return declaration(name, array)


def _lines(values: np.ndarray) -> bytes:
    """The lines of some values, from the beginning of one."""
    width = (_FLOATS if values.dtype.kind == "f" else _INTEGERS)[values.dtype.itemsize]
    whole = values.size // width * width
    if values.dtype.itemsize == 1 and whole:
        return _byte_lines(values[:whole].reshape(-1, width)) + _lines_of_any(values[whole:], width)
    return _lines_of_any(values, width)


def _byte_lines(rows: np.ndarray) -> bytes:
    """Lines of integers of one byte, each of which is looked up with what stands around it."""
    place = np.ones(rows.shape[1], np.intp)
    place[0], place[-1] = 0, 2
    texts = _byte_texts(str(rows.dtype))
    return texts[place, rows.view(np.uint8)].tobytes().translate(None, b"\0")


@lru_cache
def _byte_texts(dtype: str) -> np.ndarray:
    """A byte's text at the beginning of a line, inside it and at its end, shape (3, 256)."""
    values = np.arange(256, dtype=np.uint8).view(dtype) if dtype != "bool" else np.arange(256)
    words = [str(int(value)) for value in values]
    around = (("  ", ", "), ("", ", "), ("", ",\n"))
    return np.array([[f"{before}{w}{after}" for w in words] for before, after in around], "S8")


def _lines_of_any(values: np.ndarray, width: int) -> bytes:
    """Lines of at most `width` values of whatever type, formatted all at once."""
    listed, formats = values.tolist(), _formats(values)
    literals: dict[int, str] = {}
    if values.dtype.kind == "f":
        others = np.flatnonzero(~np.isfinite(values)).tolist()
        literals = {i: float_literal(listed[i], str(values.dtype)) for i in others}
    elif values.dtype in _LEAST:
        least, literal = _LEAST[values.dtype]
        literals = dict.fromkeys(np.flatnonzero(values == least).tolist(), literal)
    for i, literal in literals.items():
        formats[i], listed[i] = "%s", literal
    lines = [formats[start : start + width] for start in range(0, len(formats), width)]
    if len(set(formats)) == 1:  # as mostly
        template = _line(lines[0]) * (len(lines) - 1) + _line(lines[-1])
    else:
        template = "".join(map(_line, lines))
    return (template % tuple(listed)).encode()


def _line(formats: list[str]) -> str:
    return f"  {', '.join(formats)},\n"


def _formats(values: np.ndarray) -> list[str]:
    """How each value is written: with digits that tell every number of the type apart."""
    if values.dtype.kind != "f":
        return ["%dLL" if values.dtype == np.int64 else "%d"] * values.size
    digits, end = (9, "f") if values.dtype == np.float32 else (17, "")
    # What is whole is printed without a point if there is room for all of its digits.
    with np.errstate(invalid="ignore"):  # of signalling NaNs
        pointless = (np.abs(values) < 10.0**digits) & (np.rint(values) == values)
    usual, whole = f"%.{digits}g{end}", f"%.{digits}g.0{end}"
    if not pointless.any():
        return [usual] * values.size
    return [whole if w else usual for w in pointless.tolist()]
