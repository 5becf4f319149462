"""Which plan that makes some things twice is taken within a budget, and what is said of none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ..boundary.errors import UserError
from ..schedule.recompute_ratio import described_ratio
from .window_plans import Made, Make, PointOfWay, WindowPlans

_ATTEMPTS = 6  # at planning a point of the frontier within a budget
_STEP = 128  # of the bytes of one that does not fit, the next one tried has fewer by one in so many


def first_that_fits(
    plans: WindowPlans,
    make: Make[Made],
    arena_bytes: Callable[[Made], int],
    budget: int,
    max_recompute: float | None = None,
) -> tuple[PointOfWay, Made] | None:
    """The plan with the least work whose arena has at most `budget` bytes.

    A few plans are made, for their rows may find no places within the bytes that are alive; the
    smallest is the last of them, and is made without a limit, too: that is the least there is.
    It is also tried where the bytes alive are more than the budget, which are an estimate: made, a
    plan may need fewer, since outputs go over inputs.  None if none of them fits.
    """
    known = plans.within(max_recompute)
    fitting = [p for p in known if p.live_bytes <= budget] or known[-1:]
    for point in _attempts(fitting):
        made = plans.made(point, make, budget + 1)
        if made is None and point is fitting[-1]:
            made = plans.made(point, make)  # in other windows, or placed in another way
        if made is not None and arena_bytes(made) <= budget:
            return point, made
    return None


def _attempts(fitting: Sequence[PointOfWay]) -> Iterator[PointOfWay]:
    """Points to try, each with clearly fewer bytes than the one before; the last one ends them."""
    tried = 0
    most = float("inf")
    for point in fitting:
        last = point is fitting[-1]
        if last or tried < _ATTEMPTS - 1 and point.live_bytes <= most:
            yield point
            tried += 1
            most = point.live_bytes * (1 - 1 / _STEP)


def fastest_in_windows(
    plans: WindowPlans,
    make: Make[Made],
    arena_bytes: Callable[[Made], int],
    label: str,
    budget: int,
    max_recompute: float | None = None,
    without: int | None = None,
) -> Made:
    """As `first_that_fits`, but raises UserError with what would be possible if nothing fits.

    `without` is the least number of bytes that was found with nothing made twice.
    """
    found = first_that_fits(plans, make, arena_bytes, budget, max_recompute)
    if found is not None:
        return found[1]
    least, ratio = without, 1.0
    smallest = plans.within(max_recompute)[-1]
    made = plans.made(smallest, make)
    if made is not None and (least is None or arena_bytes(made) < least):
        least, ratio = arena_bytes(made), plans.ratio(smallest)
    possible = "the least possible"
    if least is not None:
        possible += f" is {least:,} bytes at {described_ratio(ratio)}, {least - budget:,} more"
    else:
        possible += " does not fit the board"
    remedies = "raise --memory-budget or choose a smaller input (--input-shapes)"
    if max_recompute is None:
        raise UserError(
            f"{label} does not fit --memory-budget {budget:,} bytes: {possible}; {remedies}"
        )
    beyond = first_that_fits(plans, make, arena_bytes, budget)
    if beyond is not None:
        needed = described_ratio(plans.ratio(beyond[0]))
        remedies = f"it would at {needed}: raise --max-recompute, or {remedies}"
    raise UserError(
        f"{label} does not fit --memory-budget {budget:,} bytes within --max-recompute "
        f"{max_recompute:g}: {possible}; {remedies}"
    )
