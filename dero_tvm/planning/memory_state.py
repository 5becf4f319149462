"""Live bytes as a function of the set of steps already run: what the search for an order walks."""

from __future__ import annotations

from dataclasses import dataclass, field

from .graph import Graph, alignment_unit, build_graph, outlives_run, outside_arena, round_up
from .overlap import shared_bytes
from .problem import BufferKind, Options, Problem


@dataclass(frozen=True)
class Touched:
    """One buffer of the arena, as one step sees it."""

    number: int
    size: int
    others: int  # mask of the other steps that use the buffer
    writers: int  # mask of all its writers
    is_born_here: bool  # the step writes it and it is no network input
    may_die: bool


@dataclass
class MemoryState:
    """Costs of steps.  A state is a mask of the steps run; everything else follows from it.

    All bytes are multiples of the common alignment.
    """

    problem: Problem
    options: Options
    graph: Graph = field(init=False)
    touched: list[list[Touched]] = field(init=False)
    temporaries: list[int] = field(init=False)  # bytes per step
    overlaps: list[dict[tuple[int, int], int]] = field(init=False)
    mergeable: list[bool] = field(init=False)  # no buffer that another step may give birth to
    initial_bytes: int = field(init=False)  # inputs that some step uses or that last
    idle_bytes: int = field(init=False)  # inputs no step uses: alive at the first step alone

    def __post_init__(self) -> None:
        problem, options = self.problem, self.options
        self.graph = graph = build_graph(problem, options)
        unit = alignment_unit(problem, options)
        steps = len(problem.steps)
        self.touched = [[] for _ in range(steps)]
        self.temporaries = [0] * steps
        self.overlaps = [{} for _ in range(steps)]
        self.mergeable = [True] * steps
        self._saved: dict[tuple[int, int, int], int] = {}
        self._sizes = {n: round_up(b.size, unit) for n, b in enumerate(graph.buffers)}
        self.initial_bytes = self.idle_bytes = 0
        for number, buffer in enumerate(graph.buffers):
            if outside_arena(buffer, options):
                continue
            self._add(number)
        for position, step in enumerate(problem.steps):
            for overlap in step.overlaps:
                output, source = graph.index[overlap.output], graph.index[overlap.input]
                if output == source or any(
                    outside_arena(graph.buffers[number], options) for number in (output, source)
                ):
                    continue
                lower, upper, least = overlap.relation(
                    graph.buffers[output].size, graph.buffers[source].size
                )
                pair = (graph.index[lower], graph.index[upper])
                distance = round_up(least, unit)
                previous = self.overlaps[position].get(pair, distance)
                self.overlaps[position][pair] = min(distance, previous)

    def _add(self, number: int) -> None:
        graph = self.graph
        buffer = graph.buffers[number]
        size = self._sizes[number]
        lasts = outlives_run(buffer, self.options)
        is_input = buffer.kind is BufferKind.INPUT
        writers = graph.writers[number]
        users = writers | graph.readers[number]
        if is_input:
            if users or lasts:
                self.initial_bytes += size
            else:
                self.idle_bytes += size
        for position in range(len(self.touched)):
            here = 1 << position
            if graph.holders[number] & here:
                self.temporaries[position] += size
            if users & here:
                born = bool(writers & here) and not is_input
                self.touched[position].append(
                    Touched(number, size, users & ~here, writers, born, not lasts)
                )
                if born and writers != here:
                    self.mergeable[position] = False

    def cost(self, done: int, held: int, step: int) -> tuple[int, int]:
        """Bytes alive while `step` runs after the steps in `done`, and bytes held after it.

        `held` are the bytes alive between the steps.
        """
        born_bytes = dead_bytes = born = dead = 0
        for use in self.touched[step]:
            if use.is_born_here and not use.writers & done:
                born_bytes += use.size
                born |= 1 << use.number
            if use.may_die and not use.others & ~done:
                dead_bytes += use.size
                dead |= 1 << use.number
        alive = held + born_bytes + self.temporaries[step]
        if not done:
            alive += self.idle_bytes
        if self.overlaps[step]:
            alive -= self._saving(step, born, dead)
        return alive, held + born_bytes - dead_bytes

    def _saving(self, step: int, born: int, dead: int) -> int:
        key = (step, born, dead)
        if key not in self._saved:
            holders = self.graph.holders

            def is_born(buffer: int) -> bool:
                return bool(born >> buffer & 1 or holders[buffer])

            def is_dead(buffer: int) -> bool:
                return bool(dead >> buffer & 1 or holders[buffer])

            valid = {
                (lower, upper): distance
                for (lower, upper), distance in self.overlaps[step].items()
                # One is the output, the other the input, whichever way the step goes.
                if (is_born(lower) and is_dead(upper)) or (is_born(upper) and is_dead(lower))
            }
            self._saved[key] = shared_bytes(self._sizes, valid)
        return self._saved[key]

    def ready_after(self, done: int, ready: int, step: int) -> int:
        """The steps that may run once `step`, one of the `ready`, has run; `done` includes it."""
        ready &= ~(1 << step)
        predecessors = self.graph.predecessors
        for later in self.graph.successors[step]:
            if not predecessors[later] & ~done:
                ready |= 1 << later
        return ready

    def initially_ready(self) -> int:
        """The steps that wait for none."""
        return sum(1 << s for s, mask in enumerate(self.graph.predecessors) if not mask)
