"""Dataclasses from data of unknown origin: what comes out, and what is said of anything else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import pytest

from dero_tvm.boundary.structured import Malformed, between, structured


@dataclass(frozen=True)
class Part:
    name: str
    size: Annotated[int, between(1, 9)]
    waits: tuple[int, ...] = ()

    def problems(self, place: str) -> Iterator[str]:
        if len(self.waits) > self.size > 0:
            yield f"'{place}waits' has too many"


@dataclass(frozen=True)
class Whole:
    parts: tuple[Part, ...]
    names: frozenset[str]
    by_name: Mapping[str, Part]
    scale: float | None = None
    other: Part | None = None


PART = {"name": "a", "size": 2, "waits": [1]}
GOOD = {"parts": [PART], "names": ["x", "x"], "by_name": {"b": PART}, "scale": 0.5, "other": PART}


def test_every_kind_of_field() -> None:
    part = Part("a", 2, (1,))
    expected = Whole((part,), frozenset("x"), {"b": part}, 0.5, part)
    assert structured(Whole, GOOD) == expected
    left_out = structured(Whole, {"parts": [], "names": [], "by_name": {}, "other": None})
    assert left_out == Whole((), frozenset(), {})
    assert structured(Whole, {**GOOD, "more": 1}, others=True) == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"parts": None}, "'parts' must be an array of tables"),
        ({"parts": [5, PART]}, "'parts[0]' must be a table"),
        ({"parts": [{**PART, "size": True}]}, "'parts[0].size' must be an integer"),
        ({"parts": [{**PART, "size": 0}]}, "'parts[0].size' must be at least 1"),
        ({"parts": [{**PART, "size": 10}]}, "'parts[0].size' must be at most 9"),
        ({"parts": [{**PART, "waits": [1, 2, 3]}]}, "'parts[0].waits' has too many"),
        ({"parts": [{"size": 1}]}, "'parts[0].name' is missing"),
        ({"names": ["x", 1]}, "'names' must be a list of strings"),
        ({"by_name": [PART]}, "'by_name' must be a table"),
        ({"by_name": {"b": 1}}, "'by_name.b' must be a table"),
        ({"scale": 1}, "'scale' must be a number"),
        ({"other": {**PART, "more": 1}}, "'other.more' is not a known field"),
        ({"names": 1, "more": 1}, "'names' must be a list of strings; 'more' is not a known field"),
    ],
)
def test_each_problem_has_its_place(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(Malformed) as caught:
        structured(Whole, {**GOOD, **changes})
    assert str(caught.value) == message


def test_not_all_of_many_problems_are_told() -> None:
    with pytest.raises(Malformed) as caught:
        structured(Whole, {**GOOD, "parts": [1] * 1_000_000})
    assert str(caught.value).count("must be a table") == 20
