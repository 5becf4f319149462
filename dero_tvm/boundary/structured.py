"""Dataclasses from JSON data of unknown origin, by the types of their fields."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import is_dataclass
from functools import cache
from typing import Any, TypeVar, cast

_Kind = TypeVar("_Kind")


def structured(kind: type[_Kind], data: object) -> _Kind:
    """A value of that type: a dataclass, tuple, mapping, number, text, or one of them or None.

    It may hold all of these, at any depth.  JSON's lists become tuples.

    Raises TypeError for data of another type, and for fields that are missing or unknown.
    """
    return cast(_Kind, _value(kind, data))


def _value(kind: Any, data: Any) -> Any:
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if is_dataclass(kind) and isinstance(data, dict):
        hints = _fields(cast(type, kind))
        if unknown := data.keys() - hints.keys():
            raise TypeError(f"unknown: {', '.join(map(repr, sorted(unknown)))}")
        return cast(Any, kind)(**{name: _value(hints[name], one) for name, one in data.items()})
    if origin is tuple and isinstance(data, (list, tuple)):
        return tuple(_value(parts[0], one) for one in data)
    if origin is Mapping and isinstance(data, dict):
        return {_value(parts[0], key): _value(parts[1], one) for key, one in data.items()}
    if origin is types.UnionType:  # with None
        return None if data is None else _value(parts[0], data)
    if type(data) is kind:
        return data
    raise TypeError(f"{data!r:.100} is not {kind}")


@cache
def _fields(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)
