"""From a rewritten module to a memory plan for one board."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import tvm

from .boards import Board
from .errors import UserError
from .frontends import LoadedModel
from .planning import DoesNotFit, MemoryPlan, Options, lower_bound, plan_memory, verify
from .planning.problem import Region
from .schedule.extract import extract
from .schedule.network import Network
from .schedule.to_problem import Scheduled, Sharing, to_problem

STACK_RESERVE = 8 * 1024
"""Bytes of a board's first memory region that are left to the stack and other variables."""


@dataclass(frozen=True)
class NetworkPlanner:
    """Plans any rewriting of one model for one board; `name` is the C module's."""

    loaded: LoadedModel
    board: Board
    options: Options
    name: str

    def schedule(
        self, module: tvm.IRModule, sharing: Sharing, *, bounded: bool = True
    ) -> Scheduled:
        """The planning problem of a module; `bounded` by the board's memory or not at all."""
        network = extract(
            module,
            name=self.name,
            input_names=[spec.name for spec in self.loaded.inputs],
            output_names=[spec.name for spec in self.loaded.outputs],
        )
        regions: Sequence[Region] = self._regions() if bounded else (Region("sram"),)
        return to_problem(
            network, sharing=sharing, alignment=self._alignment(), regions=tuple(regions)
        )

    def plan(self, scheduled: Scheduled, options: Options | None = None) -> MemoryPlan:
        """A verified plan; `options` stand in for the planner's own.

        Raises ``DoesNotFit`` if the problem's regions are too small.
        """
        plan = plan_memory(scheduled.problem, options or self.options)
        verify(plan)
        return plan

    def least_bytes(self, scheduled: Scheduled) -> int:
        """Bytes that no plan can go below."""
        return lower_bound(scheduled.problem, options=self.options)

    def too_large(self, error: DoesNotFit) -> UserError:
        """What to tell the user when nothing fits the board."""
        return UserError(
            f"{self.loaded.name} does not fit {self.board.name}: operator {error.step} needs "
            f"{error.required:,} bytes of RAM, which is {error.excess:,} bytes more than the "
            f"{error.capacity:,} that are left beside the stack; choose another board, a "
            "smaller input (--input-shapes), or another --dero"
        )

    def _regions(self) -> tuple[Region, ...]:
        if not self.board.ram:
            return (Region("sram"),)
        sizes = [ram.size for ram in self.board.ram]
        sizes[0] = max(sizes[0] - STACK_RESERVE, 0)
        return tuple(
            Region(ram.name, size, ram.section) for ram, size in zip(self.board.ram, sizes)
        )

    def _alignment(self) -> int:
        return 4

    def check_flash(self, network: Network) -> None:
        """Raises UserError if the weights do not fit the board's flash."""
        if self.board.flash is None:
            return
        weights = sum(array.nbytes for array in network.constants.values())
        if weights > self.board.flash.size:
            raise UserError(
                f"{self.loaded.name} does not fit {self.board.name}: its weights are {weights:,} "
                f"bytes, {weights - self.board.flash.size:,} more than the flash of "
                f"{self.board.flash.size:,}"
            )
