"""Dataclasses from data of unknown origin, JSON or TOML, by the types of their fields.

    Size = Annotated[int, between(1, 1 << 32)]

    @dataclass(frozen=True)
    class Ram:
        name: str
        size: Size

    structured(Ram, {"name": "sram", "size": 0})     Malformed: 'size' must be at least 1

What is wrong with fields together, a dataclass says in a method `problems(place)`: sentences, in
which `place` stands before a field's name.  A field that is wrong itself is zero or empty there.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Annotated, Any, TypeVar, cast

_Kind = TypeVar("_Kind")
_MOST = 20  # problems that are told
_UNIONS = (types.UnionType, typing.Union)
_SCALARS = {str: "a string", int: "an integer", float: "a number", bool: "true or false"}


class Malformed(TypeError):
    """Data of another form; the message lists what is wrong, each with its place."""


def between(least: int, most: int | None = None) -> Callable[[int], str]:
    """For `Annotated`: the least and the greatest value."""

    def wrong(value: int) -> str:
        if value < least:
            return f"at least {least}"
        return f"at most {most}" if most is not None and value > most else ""

    return wrong


def structured(kind: type[_Kind], data: object, *, others: bool = False) -> _Kind:
    """A value of that type: a dataclass, tuple, mapping, number, text, or one of them or None.

    It may hold all of these, at any depth.  Lists become tuples or frozensets.  With `others`,
    fields that a dataclass does not have are passed over.

    Raises Malformed for data of another type, and for fields that are missing or unknown.
    """
    reader = _Reader(others)
    value = reader.value(kind, data, "")
    if reader.found:
        raise Malformed("; ".join(reader.found))
    return cast(_Kind, value)


class _Reader:
    """Reads on behind a problem, with a zero or nothing in its place."""

    def __init__(self, others: bool) -> None:
        self.found: list[str] = []
        self._others = others

    def _problem(self, text: str) -> None:
        self.found.append(text)
        if len(self.found) == _MOST:
            raise Malformed("; ".join(self.found))

    def value(self, kind: Any, data: Any, place: str) -> Any:
        origin, parts = typing.get_origin(kind), typing.get_args(kind)
        if origin is Annotated:
            return self._checked(parts[0], parts[1:], data, place)
        if origin in _UNIONS:  # with None
            return None if data is None else self.value(parts[0], data, place)
        if is_dataclass(kind) and isinstance(data, dict):
            return self._fields(kind, data, place)
        if origin is Mapping and isinstance(data, dict):
            return {
                self.value(parts[0], key, place): self.value(parts[1], one, f"{place}.{key}")
                for key, one in data.items()
            }
        if origin in (tuple, frozenset) and isinstance(data, (list, tuple)):
            scalar = _scalar(parts[0])
            if scalar is None or all(type(one) is scalar for one in data):
                if scalar is parts[0]:
                    return origin(data)
                before = len(self.found)
                made = [self.value(parts[0], x, f"{place}[{i}]") for i, x in enumerate(data)]
                return origin(made if scalar is None or len(self.found) == before else ())
        elif type(data) is kind:
            return data
        self._problem(f"'{place}' must be {_called(kind)}")
        return _empty(kind)

    def _checked(self, kind: Any, checks: Iterable[Any], data: Any, place: str) -> Any:
        before = len(self.found)
        value = self.value(kind, data, place)
        for wrong in filter(None, (check(value) for check in checks)):
            if len(self.found) == before:
                self._problem(f"'{place}' must be {wrong}")
        return value if len(self.found) == before else _empty(kind)

    def _fields(self, kind: Any, data: Mapping[str, Any], place: str) -> Any:
        prefix = f"{place}." if place else ""
        values = {}
        for name, (hint, required) in _hints(kind).items():
            if name in data:
                values[name] = self.value(hint, data[name], f"{prefix}{name}")
            elif required:
                self._problem(f"'{prefix}{name}' is missing")
                values[name] = _empty(hint)
        if not self._others:
            for name in sorted(data.keys() - _hints(kind).keys()):
                self._problem(f"'{prefix}{name}' is not a known field")
        made = kind(**values)
        for text in made.problems(prefix) if hasattr(kind, "problems") else ():
            self._problem(text)
        return made


@cache
def _hints(kind: type) -> dict[str, tuple[Any, bool]]:
    """Of each field its type, and whether it must be there."""
    hints = typing.get_type_hints(kind, include_extras=True)
    return {
        field.name: (hints[field.name], field.default is field.default_factory is MISSING)
        for field in fields(kind)
    }


def _scalar(kind: Any) -> type | None:
    """The type of a value without parts; None for all others."""
    plain = typing.get_args(kind)[0] if typing.get_origin(kind) is Annotated else kind
    return plain if plain in _SCALARS else None


def _called(kind: Any) -> str:
    """What a reader of the data calls it, in TOML's words."""
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin in (tuple, frozenset):
        scalar = _scalar(parts[0])
        return f"a list of {_SCALARS[scalar].split()[-1]}s" if scalar else "an array of tables"
    return _SCALARS.get(kind, "a table")


def _empty(kind: Any) -> Any:
    origin = typing.get_origin(kind)
    if origin is Annotated:
        return _empty(typing.get_args(kind)[0])
    if origin in _UNIONS:
        return None
    if origin is Mapping:
        return {}
    if is_dataclass(kind) and isinstance(kind, type):
        return kind(
            **{name: _empty(hint) for name, (hint, needed) in _hints(kind).items() if needed}
        )
    return (origin or kind)()
