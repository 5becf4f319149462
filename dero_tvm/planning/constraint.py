"""Packing as a constraint model for OR-Tools' CP-SAT, where that package is installed."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from types import ModuleType

from .packing import Packing

SEED = 1


def _solver() -> ModuleType | None:
    try:
        return importlib.import_module("ortools.sat.python.cp_model")
    except ImportError:
        return None


def solve(
    packing: Packing, lower: int, upper: int, seconds: float, hint: Sequence[int] | None = None
) -> tuple[list[int] | None, int]:
    """The least placement of at most `upper` bytes: addresses (or None) and a proven lower bound.

    One rectangle an item, no two of which overlap; a pair with an overlap constraint is taken
    out of that and gets a disjunction of its legal relative addresses instead.  The lower bound is
    above `upper` if there is no such placement.  The time is CP-SAT's deterministic one, whose
    second is about one of a desktop, so results repeat.
    """
    cp_model = _solver()
    if cp_model is None or upper < lower or seconds <= 0:
        return None, lower
    model = cp_model.CpModel()
    unit = min(packing.alignments)
    if any(a % unit for a in packing.alignments) or any(s % unit for s in packing.sizes):
        unit = 1
    top = upper // unit
    height = model.new_int_var(-(-lower // unit), top, "height")
    addresses = []
    vertical, horizontal = [], []
    may_overlap = {item for pair in packing.overlaps for item in pair}
    for i, size in enumerate(packing.sizes):
        step = packing.alignments[i] // unit
        if size > upper:
            return None, upper + unit
        if step == 1:
            address = model.new_int_var(0, top - -(-size // unit), f"a{i}")
        else:
            index = model.new_int_var(0, (top - -(-size // unit)) // step, f"i{i}")
            address = step * index
        tall = -(-size // unit)
        model.add(address + tall <= height)
        addresses.append(address)
        vertical.append(model.new_fixed_size_interval_var(address, tall, f"v{i}"))
        life = packing.ends[i] - packing.starts[i]
        horizontal.append(model.new_fixed_size_interval_var(packing.starts[i], life, f"h{i}"))
    free = [i for i in range(len(packing)) if i not in may_overlap]
    model.add_no_overlap_2d([horizontal[i] for i in free], [vertical[i] for i in free])
    if free:
        demands = [-(-packing.sizes[i] // unit) for i in free]
        model.add_cumulative([horizontal[i] for i in free], demands, height)
    for i in sorted(may_overlap):
        for j, above, below in packing.neighbours[i]:
            if j in may_overlap and j < i:
                continue
            up, down = -(-above // unit), -(-below // unit)
            if up + down <= 0:
                continue
            i_below = model.new_bool_var(f"b{i},{j}")
            model.add(addresses[j] - addresses[i] >= up).only_enforce_if(i_below)
            model.add(addresses[i] - addresses[j] >= down).only_enforce_if(~i_below)
    if hint is not None:
        for i, offset in enumerate(hint):
            if packing.alignments[i] == unit:
                model.add_hint(addresses[i], offset // unit)
    model.minimize(height)
    solver = cp_model.CpSolver()
    solver.parameters.max_deterministic_time = seconds
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = SEED
    status = solver.solve(model)
    if status == cp_model.INFEASIBLE:
        return None, upper + unit
    bound = max(lower, int(solver.best_objective_bound) * unit)
    if status in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return [int(solver.value(a)) * unit for a in addresses], bound
    return None, bound
