"""What a layout leaves to later rows, judged step by step, is what counting afresh says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from unittest import mock

import numpy as np
from hypothesis import given

from dero_tvm.planning.budget import Budget
from dero_tvm.planning.rows import placement
from dero_tvm.planning.rows.layout_search import LayoutSearch, task_of
from dero_tvm.planning.rows.lives import Block
from dero_tvm.planning.rows.look_ahead import Judgement, Layouts, LookAhead, Places
from tests.planning.rows.test_exact_placement import ROW, cut_up
from tests.planning.rows.test_middle_search import sliding_windows
from tests.random_cases import cases

AHEAD = 6  # calls


def most_filled(gap: int, waiting: Counter[int]) -> int:
    """The most units up to `gap` that some of the sizes add up to."""
    sums = {0}
    for size in waiting.elements():
        sums |= {found + size for found in sums if found + size <= gap}
    return max(sums)


def judged(
    ahead: LookAhead, layout: Sequence[tuple[int, int, int]], call: int
) -> tuple[bool, int, list[list[int]]]:
    """Whether blocks from, to, with an end leave room; what that costs; gaps by call."""
    fits, cost, all_gaps = True, 0, []
    for number in [n for n, at in enumerate(ahead.calls) if at >= call][:AHEAD]:
        at, waiting = int(ahead.calls[number]), +ahead.waiting[number]
        alive = sorted((low, high) for low, high, end in layout if end > at)
        edges = [int(ahead.floor[at]), *(e for pair in alive for e in pair), int(ahead.ceiling[at])]
        gaps = [above - below for below, above in zip(edges[::2], edges[1::2], strict=True)]
        filled = sum(most_filled(gap, waiting) for gap in gaps)
        fits &= filled >= sum(waiting.elements())
        for size in sorted(waiting)[1:]:
            large = sum(count for other, count in waiting.items() if other >= size)
            fits &= sum(gap // size for gap in gaps) >= large
        cost += 300 * (sum(gaps) - filled) // (int(ahead.slack[at]) + 1)
        cost += 100 * sum(gap > 0 for gap in gaps)
        all_gaps.append(sorted(gap for gap in gaps if gap))
    return fits, cost, all_gaps


class Checked(LookAhead):
    """Compares what it says of every place with what is counted afresh."""

    def judge(self, layouts: Layouts, places: Places, call: int) -> Judgement:
        found = super().judge(layouts, places, call)
        blocks = np.stack([layouts.low, layouts.high, layouts.ends], 2).tolist()
        seen = []
        for number, layout in enumerate(places.layouts.tolist()):
            own = (int(places.low[number]), int(places.high[number]), places.end)
            fits, cost, gaps = judged(self, [*blocks[layout], own], call)
            assert (fits, cost) == (found.fits[number], found.cost[number])
            seen.append(gaps)
        for one, other in combinations(range(min(len(seen), 12)), 2):
            assert (seen[one] == seen[other]) == (found.likeness[one] == found.likeness[other])
        return found


@cases(40)
@given(cut_up())
def test_layouts_are_judged_as_if_they_were_counted_afresh(
    problem: tuple[list[Block], int],
) -> None:
    blocks, height = problem
    calls = max(block.end for block in blocks)
    for limit in (height, height + ROW):
        task = task_of(blocks, calls, 4, limit)
        assert task is not None
        with mock.patch("dero_tvm.planning.rows.layout_search.LookAhead", Checked):
            LayoutSearch(task).run(Budget(60))


def test_a_call_is_asked_again_only_where_the_new_block_still_is() -> None:
    lives = sliding_windows()
    task = task_of(lives.blocks, lives.calls, 2, 2 * lives.peak)
    assert task is not None
    search = LayoutSearch(task)
    assert search.run(Budget(60)) is not None
    calls, asked = search.ahead.calls, len(search.ahead.calls)
    for start, end in zip(task.starts.tolist(), task.ends.tolist(), strict=True):
        seen = calls[np.searchsorted(calls, start) :][:AHEAD]
        asked += int((seen < end).sum())
    assert 0 < search.ahead.judged <= asked < AHEAD * len(task.starts) // 2


def test_a_spent_budget_ends_the_search_for_lower_placements() -> None:
    lives = sliding_windows()
    placed = placement.place_rows(lives, 2, Budget(60))
    assert placed.height > lives.peak
    spent = Budget(1, spent=1)
    with mock.patch.object(placement, "_in_turn", wraps=placement._in_turn) as placements:
        assert placement.lowered(lives, 2, placed, placed.height, spent) is None
    assert not placements.called
