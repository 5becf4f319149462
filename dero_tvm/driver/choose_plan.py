"""Which of a network's candidates is compiled: the smallest, or the fastest within a budget.

Less streaming is mostly faster: each ring costs a remainder for every row that is read from it.
So the candidates stand in an order:

    every tensor whole, accumulated, overlapped, streamed as little as possible, ..., streamed
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..boundary.errors import UserError
from ..planning.column_windows.grouping import Grouping
from .candidates import Candidate, Candidates
from .dero_levels import Dero
from .window_choice import fastest_in_windows
from .window_plans import WindowPlans, window_plans

_ATTEMPTS = 5  # at streaming within the budget before the least peak is tried
_LIMITS = 3  # below the budget that are tried where plans are compared by cost


def smallest(candidates: Candidates, mode: Dero) -> Candidate:
    """The smallest candidate that goes at most as far as `mode`; the simplest of equal ones.

    Raises UserError if none fits the board.
    """
    best: Candidate | None = None
    for included in reversed(mode.included):  # the most promising first: others may be skipped
        below = None if best is None else best.arena_bytes + 1
        for candidate in candidates.of(included, below):
            simpler = best is None or candidate.mode is not best.mode
            if best is None or candidate.arena_bytes < best.arena_bytes + simpler:
                best = candidate
    if best is None:
        raise _too_large(candidates, mode)
    return best


def fastest_within(
    candidates: Candidates,
    mode: Dero,
    budget: int,
    cost: Callable[[Candidate], int] | None = None,
    max_recompute: float | None = None,
) -> Candidate:
    """The fastest candidate, none beyond `mode`, whose arenas have at most `budget` bytes together.

    That is the one with the least `cost`, for example counted instructions, and the first of equal
    ones; without `cost` the first in the order above.  Where nothing fits, streamed networks may
    make some things twice, in windows of columns: as little as possible, and at most
    `max_recompute` times as many multiply-accumulates.

    Raises UserError with the least number of bytes possible if there is none.
    """
    least: Candidate | None = None
    fitting: list[Candidate] = []
    for candidate in _by_speed(candidates, mode, budget):
        if candidate.arena_bytes <= budget:
            if cost is None:
                return candidate
            fitting.append(candidate)
        elif least is None or candidate.arena_bytes < least.arena_bytes:
            least = candidate
    if cost is not None and fitting:
        if mode is Dero.STREAM:
            fitting += _between(candidates, fitting, budget)
        different: dict[tuple[int, int], Candidate] = {}  # a plan may have several labels
        for candidate in fitting:
            different.setdefault((candidate.arena_bytes, candidate.streamed_operators), candidate)
        return min(different.values(), key=cost)
    if mode is Dero.STREAM:
        windows = _in_windows(candidates, budget, max_recompute, least)
        if windows is not None:
            return windows
    if least is None:
        raise _too_large(candidates, mode, with_budget=True)
    remedies = "raise --memory-budget or choose a smaller input (--input-shapes)"
    if mode is not Dero.STREAM:
        remedies = f"use --dero stream, or {remedies}"
    raise UserError(
        f"{candidates.planner.label} does not fit --memory-budget {budget:,} bytes: the "
        f"least possible with --dero {mode.value} is {least.arena_bytes:,} bytes, "
        f"{least.arena_bytes - budget:,} more; {remedies}"
    )


def in_given_windows(candidates: Candidates, grouping: Grouping) -> Candidate:
    """The candidate with these groups of operations in windows of columns.

    Raises UserError where a group cannot be computed so, or nothing fits the board.
    """
    network = candidates.streamed_for_windows()
    made = None if network is None else candidates.in_windows(network, grouping)
    if made is None:
        raise UserError(
            f"{candidates.planner.label} has no plan with windows of columns for this board: it "
            "has too many rows, or does not fit"
        )
    return made


def plans_in_windows(candidates: Candidates) -> WindowPlans | None:
    """The frontier of plans that make some things twice; None if none is known."""
    return window_plans(candidates.planner, candidates.streamed_for_windows)


def _in_windows(
    candidates: Candidates, budget: int, max_recompute: float | None, least: Candidate | None
) -> Candidate | None:
    """The candidate with the least work within a budget; None if none is known.

    Raises UserError if all that are known need more.
    """
    candidates.progress("looking for windows of columns")
    plans = plans_in_windows(candidates)
    if plans is None:
        return None
    return fastest_in_windows(
        plans,
        candidates.in_windows,
        lambda made: made.arena_bytes,
        candidates.planner.label,
        budget,
        max_recompute,
        None if least is None else least.arena_bytes,
    )


def _by_speed(candidates: Candidates, mode: Dero, budget: int) -> Iterator[Candidate]:
    for included in mode.included:
        if included is Dero.STREAM:
            yield from _streamed(candidates, budget)
        else:
            yield from candidates.of(included)


def _streamed(candidates: Candidates, budget: int) -> Iterator[Candidate]:
    """Streamed plans within ever lower limits, for a plan may come out above its estimate."""
    limit = budget
    for _ in range(_ATTEMPTS):
        excess = 0
        for candidate in candidates.streamed(limit):
            yield candidate
            excess = candidate.arena_bytes - budget
        if excess <= 0 or excess >= limit:
            break
        limit -= excess
    yield from candidates.streamed(None)


def _between(candidates: Candidates, fitting: list[Candidate], budget: int) -> Iterator[Candidate]:
    """More streamed plans, within limits evenly spread between the smallest and the budget."""
    span = budget - min(candidate.arena_bytes for candidate in fitting)
    for number in range(1, _LIMITS + 1):
        for candidate in candidates.streamed(budget - span * number // (_LIMITS + 1)):
            if candidate.arena_bytes <= budget:
                yield candidate


def _too_large(candidates: Candidates, mode: Dero, *, with_budget: bool = False) -> UserError:
    error, network = min(candidates.refusals, key=lambda refusal: refusal[0].excess)
    return candidates.planner.too_large(
        error, network, streamed=mode is Dero.STREAM, with_budget=with_budget
    )
