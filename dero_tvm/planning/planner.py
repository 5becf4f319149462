"""Memory planning as a whole: an order, then addresses, then the check of both."""

from __future__ import annotations

from .budget import Budget
from .graph import build_graph
from .order import find_order
from .persistent import persistent_part, with_states, without_states
from .placement import place
from .plan import MemoryPlan
from .planning_error import DoesNotFit
from .problem import Options, Problem
from .verify import verify


def plan_memory(problem: Problem, options: Options | None = None) -> MemoryPlan:
    """An order of the steps with the least peak, and an address for every buffer; verified.

    The same problem and options give the same plan on every machine: the searches count what they
    do, and no clock ends them.

    Raises ``ProblemError`` if the problem contradicts itself and ``DoesNotFit`` if no plan within
    the regions is found.
    """
    options = options or Options()
    build_graph(problem, options)
    part = persistent_part(problem)
    plan = with_states(_searched(without_states(problem, part), options), problem, part)
    verify(plan)
    return plan


def _searched(problem: Problem, options: Options) -> MemoryPlan:
    """The plan of everything but states."""
    budget = Budget(options.time_limit)
    order = find_order(problem, options, budget)
    plan = _plan(problem, options, order.steps, order.proof, budget)
    written = tuple(range(len(problem.steps)))
    unsettled = isinstance(plan, DoesNotFit) or plan.total_bytes > order.written_peak
    if order.steps != written and unsettled:
        # A smaller peak is no gain if its buffers cannot be placed within it.
        proof = "written order, no better one once placed"
        other = _plan(problem, options, written, proof, budget)
        if isinstance(other, MemoryPlan) and (
            isinstance(plan, DoesNotFit) or other.total_bytes <= plan.total_bytes
        ):
            plan = other
    if isinstance(plan, DoesNotFit):
        raise plan
    return plan


def _plan(
    problem: Problem, options: Options, order: tuple[int, ...], proof: str, budget: Budget
) -> MemoryPlan | DoesNotFit:
    try:
        found = place(problem, order, options, budget)
    except DoesNotFit as error:
        return error
    return MemoryPlan(
        problem,
        options,
        order,
        found.placements,
        found.arena_bytes,
        found.bound,
        proof,
        found.proof,
    )
