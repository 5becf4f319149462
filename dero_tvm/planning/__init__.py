"""Memory planning: an order for the steps of a network and an address for every buffer.

Pure functions on frozen dataclasses; nothing here imports TVM.

    plan = plan_memory(Problem(buffers, steps, regions), Options())

An order with the least peak of live bytes is searched (`order`), then addresses that meet the
peak if possible (`placement`); both say what is proven about them.  `verify` checks any plan with
code of its own, and `plan_memory` runs it on every plan it returns.
"""

from .bounds import lower_bound, peak, step_bytes
from .liveness import liveness
from .overlap import least_span
from .peak_report import LiveBuffer, live_at_peak, peak_position
from .plan import MemoryPlan, Placement
from .planner import plan_memory
from .planning_error import DoesNotFit, PlanError, PlanningError, ProblemError
from .problem import Buffer, BufferKind, Options, Overlap, Problem, Region, Step
from .verify import verify

__all__ = [
    "Buffer",
    "BufferKind",
    "DoesNotFit",
    "LiveBuffer",
    "MemoryPlan",
    "Options",
    "Overlap",
    "Placement",
    "PlanError",
    "PlanningError",
    "Problem",
    "ProblemError",
    "Region",
    "Step",
    "least_span",
    "live_at_peak",
    "liveness",
    "lower_bound",
    "peak",
    "peak_position",
    "plan_memory",
    "step_bytes",
    "verify",
]
