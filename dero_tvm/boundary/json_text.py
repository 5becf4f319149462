"""JSON of unknown origin."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from .garbage import collecting_seldom

LARGEST = 1 << 25
"""Bytes of a text that is read: as Python's objects it may take forty times as many."""


def parsed_json(text: bytes) -> Any:
    """What the text holds.

    Raises ValueError if it is no JSON, too long, too deeply nested, or with numbers that JSON does
    not have, such as NaN.
    """
    if len(text) > LARGEST:
        raise ValueError(f"it has {len(text)} bytes, more than {LARGEST}")
    try:
        with collecting_seldom():  # a text holds no cycles, and maybe millions of objects
            return json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except RecursionError:
        raise ValueError("it is too deeply nested") from None


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _finite(digits: str) -> float:
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        _refuse(digits)
    return value
