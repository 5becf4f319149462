"""Memory of a network without its code: what a search over many networks asks.

The network is read, rewritten and planned as by `compile`, with the kernels of the board's core; no
report is made and no C. It is planned without bounds first, so that a network that is too large
has a size, too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..aot.kernels import alike_takes_table
from ..boards.board import Board, load_board
from ..boards.regions import board_regions
from ..boundary.errors import internal_errors
from ..boundary.one_at_a_time import one_at_a_time
from ..planning import DoesNotFit, plan_memory
from .candidates import Candidate
from .choose_plan import smallest
from .dero_levels import Dero
from .options import CompileOptions
from .prepare import prepare
from .takes_options import takes_options

_QUICK_SECONDS = 0.2  # of searching, counted in its steps


@dataclass(frozen=True)
class Estimate:
    """What a network takes of a board.

    Attributes
    ----------
    model, target, dero
        What was asked.
    arena_bytes
        The smallest arena, everything in it counted: that of `compile` where it fits, or with
        ``quick`` an upper bound of it.
    weights_bytes
        Weights and tables in flash; code comes on top.
    macs
        Multiply-accumulates of one inference.
    ram_free, flash_free
        What is left of the board beside arena, reserve and weights; negative: lacking.  0 where
        the board does not say what it has.
    """

    model: str
    target: str
    dero: str
    arena_bytes: int
    weights_bytes: int
    macs: int
    ram_free: int
    flash_free: int

    @property
    def fits(self) -> bool:
        """Whether the board has room for arena and weights."""
        return self.ram_free >= 0 and self.flash_free >= 0


@dataclass(frozen=True, kw_only=True)
class EstimateOptions(CompileOptions):
    """`CompileOptions`, less those that choose among plans by something else than size.

    Parameters
    ----------
    quick
        With ``dero="stream"``: the arena of one verified plan, found with little searching.
        `dero_tvm.compile` finds one that is as small or smaller; how much it is above that, the
        docs tell.  For a search over many networks.
    """

    quick: bool = False


@takes_options(
    EstimateOptions, without=("memory_budget", "max_recompute", "tune", "dump_ir", "name")
)
@one_at_a_time
@internal_errors
def estimate(model: Any, options: EstimateOptions) -> Estimate:
    """The memory of a network on a board, in less time than `dero_tvm.compile` takes.

    Parameters
    ----------
    model
        As for `dero_tvm.compile`.
    options
        Of `CompileOptions` those that concern memory, ``target`` for the board among them.

    Raises UserError as `compile` does, but not because the board is too small.
    """
    board = options.board
    prepared = prepare(model, options)
    boundless = replace(load_board("host"), features=board.features)
    planner = replace(prepared.planner, board=boundless)
    found = None
    if options.quick and options.mode is Dero.STREAM:
        little = replace(planner.options, time_limit=min(options.time_limit, _QUICK_SECONDS))
        quick = replace(planner, options=little, tables=alike_takes_table)
        ways = prepared.candidates().for_planner(quick).likely()
        found = min(ways, key=lambda way: way.arena_bytes, default=None)
    if found is None:
        found = smallest(prepared.candidates().for_planner(planner), options.mode)
    network = found.scheduled.network
    weights = network.c_constants_bytes
    label = model.name if isinstance(model, Path) else prepared.loaded.name
    return Estimate(
        label,
        board.name,
        options.mode.value,
        found.arena_bytes,
        weights,
        network.macs,
        room_left(found, board, options),
        board.flash_bytes - weights if board.flash else 0,
    )


def room_left(found: Candidate, board: Board, options: CompileOptions) -> int:
    """Bytes left in the regions that the arena takes, or lacking."""
    if not board.ram:
        return 0
    regions = board_regions(board, options.reserved)
    sizes = [region.size or 0 for region in regions]
    if found.arena_bytes <= sizes[0] or len(sizes) == 1:
        return sizes[0] - found.arena_bytes
    try:
        plan = plan_memory(replace(found.scheduled.problem, regions=regions), options.planning)
    except DoesNotFit as error:
        return -error.excess
    used = plan.arena_bytes
    return sum(s - used[r.name] for r, s in zip(regions, sizes) if used.get(r.name))
