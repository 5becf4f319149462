"""What is answered within a budget, from the points that are known."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from dero_tvm.boundary.errors import UserError
from dero_tvm.driver.window_choice import fastest_in_windows


@dataclass(frozen=True)
class Point:
    live_bytes: int
    arena_bytes: int


class Plans:
    """Points by falling bytes alive; the planner keeps a limit only by what it knows beforehand."""

    def __init__(self, *points: Point) -> None:
        self.points = points

    def within(self, max_recompute: float | None) -> tuple[Point, ...]:
        return self.points

    def ratio(self, point: Point) -> float:
        return 1.0

    def made(self, point: Point, make, below: int | None = None) -> Point | None:
        return None if below is not None and point.live_bytes >= below else point


PLANS = Plans(Point(7_740, 7_740), Point(7_440, 7_404))  # the last one's output goes over an input


def chosen(budget: int) -> int:
    made = fastest_in_windows(PLANS, None, lambda point: point.arena_bytes, "net", budget)
    return made.arena_bytes


@pytest.mark.parametrize("budget", [7_404, 7_405, 7_440, 7_800])
def test_the_least_that_is_named_is_had(budget: int) -> None:
    with pytest.raises(UserError, match=r"the least possible is 7,404 bytes .*, 1 more"):
        chosen(7_403)
    assert chosen(budget) <= budget
