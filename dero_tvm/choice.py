"""Which of the ways to save memory is taken: the one whose arena turns out smallest.

What makes one network's arena smaller may leave another's as it is, or make it larger: a cascade
has rings beside its tensors, and an addition that accumulates runs when its last operand is made.
So everything up to what the user asks for is planned, and what does not pay is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import tvm

from relax_passes import pipeline
from relax_passes.stream_rows import with_ascending_rows

from .dero import Dero
from .planning import DoesNotFit, MemoryPlan, Options, lower_bound, plan_memory
from .schedule.to_problem import Scheduled, Sharing


@dataclass(frozen=True)
class Way:
    """A way to save memory: what the report calls it, the rewritten module, what may share."""

    name: str
    module: tvm.IRModule
    sharing: Sharing


@dataclass(frozen=True)
class Chosen:
    """The way taken and its plan."""

    way: Way
    scheduled: Scheduled
    plan: MemoryPlan


def ways(canonical: tvm.IRModule, dero: Dero, options: Options) -> list[Way]:
    """The ways that `dero` allows for a canonical module, the simplest first."""
    found = [Way("whole tensors", pipeline.analyze()(canonical), Sharing.NONE)]
    if dero is Dero.NONE:
        return found
    accumulated = pipeline.accumulate(keep_inputs=options.keep_inputs)(canonical)
    found.append(Way("accumulated", accumulated, Sharing.IN_PLACE))
    if dero is Dero.ACCUMULATE:
        return found
    found.append(Way("accumulated and overlapped", accumulated, Sharing.ROWS))
    streamed = pipeline.stream(keep_inputs=options.keep_inputs, external_io=options.external_io)(
        canonical
    )
    ascending = with_ascending_rows(streamed)
    if ascending is not None:
        found.append(Way("streamed, all rows ascending", ascending, Sharing.ROWS))
    found.append(Way("streamed", streamed, Sharing.ROWS))
    return found


def choose(
    candidates: Sequence[Way], schedule: Callable[[Way], Scheduled], options: Options
) -> Chosen:
    """The candidate with the smallest arena; of equal ones the simplest, which stands first.

    `schedule` states a candidate's planning problem.  Raises ``DoesNotFit``, the one that is the
    least short of memory, if no candidate fits the regions.
    """
    best: Chosen | None = None
    failure: DoesNotFit | None = None
    for way in reversed(candidates):  # the last ones promise most: others may be passed over
        scheduled = schedule(way)
        if best is not None:
            bound = lower_bound(scheduled.problem, options=options)
            if bound > best.plan.total_bytes:
                continue
        try:
            plan = plan_memory(scheduled.problem, options)
        except DoesNotFit as error:
            if failure is None or error.required < failure.required:
                failure = error
            continue
        if best is None or plan.total_bytes <= best.plan.total_bytes:
            best = Chosen(way, scheduled, plan)
    if best is None:
        assert failure is not None, "there is always a candidate"
        raise failure
    return best
