"""When each buffer is alive, for one order of the steps."""

from __future__ import annotations

from collections.abc import Sequence

from .graph import outlives_run
from .problem import BufferKind, Options, Problem


def liveness(
    problem: Problem, order: Sequence[int], options: Options | None = None
) -> dict[str, tuple[int, int]]:
    """The first and the last position in `order` at which each buffer is alive, both included.

    An input is alive from position 0, for the caller fills it before the run; a state always.  An
    output, and with ``keep_inputs`` an input, is alive to the last position.  A temporary is alive
    in its step alone.  A buffer that no step reads is alive while it is written.
    """
    options = options or Options()
    end = max(len(order) - 1, 0)
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for position, step_index in enumerate(order):
        step = problem.steps[step_index]
        for name in (*step.reads, *step.writes, *step.temporaries):
            first.setdefault(name, position)
            last[name] = position
    for buffer in problem.buffers:
        if buffer.kind in (BufferKind.INPUT, BufferKind.STATE):
            first[buffer.name] = 0
            last.setdefault(buffer.name, 0)
        if outlives_run(buffer, options):
            last[buffer.name] = end
    return {b.name: (first[b.name], last[b.name]) for b in problem.buffers if b.name in first}
