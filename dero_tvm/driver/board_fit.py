"""On which boards a network runs, with every tensor whole and with ``--dero``.

The network is rewritten once, and planned once without bounds for all boards that take the same
kernels.  Where that arena fits a board's first region, the board's own plan is the same.
Otherwise the buffers are divided among the board's regions anew, once for each list of sizes,
however many boards have it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from ..boards.board import Board, load_board
from ..boards.board_filter import known_boards
from ..boards.regions import board_regions
from ..boundary.errors import UserError, internal_errors
from ..boundary.one_at_a_time import one_at_a_time
from ..kernels.kernel_table import registered
from ..planning import DoesNotFit, plan_memory
from ..planning.problem import Region
from ..report.code_size import code_size
from ..report.fit import BoardFit, Fit, Need, Verdict
from .candidates import Candidate, Candidates
from .choose_plan import plans_in_windows, smallest
from .dero_levels import Dero
from .generate import generate, program_of
from .options import CompileOptions
from .prepare import PreparedModel, prepare
from .share_of_work import ShareOfWork
from .takes_options import takes_options
from .window_plans import WindowPlans


@dataclass(frozen=True, kw_only=True)
class FitOptions(CompileOptions):
    """`CompileOptions`, `dero` being what to compare with no option, and the boards.

    Parameters
    ----------
    boards
        Those to look at; all that come with the package and describe their memory by default.
    """

    boards: Sequence[Board] | None = None


@takes_options(
    FitOptions,
    without=("target", "memory_budget", "max_recompute", "stream_input", "stream_output", "tune"),
)
@one_at_a_time
@internal_errors
def fit(model: Any, options: FitOptions) -> Fit:
    """Say for each board whether a network fits it, without an option and with `dero`.

    Parameters
    ----------
    model
        As for `dero_tvm.compile`.
    options
        `FitOptions`, as keywords or beside `CompileOptions`; not those for one board or one plan:
        `target`, `memory_budget`, `max_recompute`, `stream_input`, `stream_output`, `tune`.

    Raises UserError as `dero_tvm.compile` does, but never because a board is too small.
    """
    boards = known_boards() if options.boards is None else options.boards
    chosen = [board for board in boards if board.ram]
    if not chosen:
        named = ", ".join(board.name for board in boards)
        raise UserError(f"there is no board to fit: the memory of {named} is not described")
    work = ShareOfWork(options.progress)
    prepared = prepare(model, replace(options, progress=work))
    candidates = prepared.candidates()
    found: list[BoardFit] = []
    needs: list[Need] = []
    for features, group in _by_kernels(chosen):
        work.begin(len(found) + 1, len(chosen))
        plain, best = (
            _Way(prepared, candidates, each, features, group) for each in (Dero.NONE, options.mode)
        )
        needs += [plain.need, best.need]
        windows = _Windows(best, options.mode, work)
        for board in group:
            work.begin(len(found) + 1, len(chosen))
            work(f"planning for {board.name}")
            regions = board_regions(board, options.reserved)
            verdict = _verdict(best, board, regions)
            found.append(
                BoardFit(
                    board.name,
                    board.core,
                    sum(region.size or 0 for region in regions),
                    board.flash_bytes,
                    _verdict(plain, board, regions),
                    verdict,
                    windows.least_ratio(verdict, regions),
                )
            )
    found.sort(key=lambda entry: (entry.ram_free, entry.flash, entry.board))
    needs.sort(key=lambda need: need.dero != Dero.NONE.value)
    name, dero = prepared.loaded.name, options.mode.value
    return Fit(name, dero, options.reserved, tuple(needs), tuple(found))


def _by_kernels(boards: Sequence[Board]) -> Iterator[tuple[frozenset[str], list[Board]]]:
    """Boards that take the same kernels, with the features that decide on them."""
    deciding = frozenset[str]().union(*(entry.features for entry in registered()))
    groups: dict[frozenset[str], list[Board]] = {}
    for board in boards:
        groups.setdefault(board.features & deciding, []).append(board)
    yield from sorted(groups.items(), key=lambda item: (len(item[0]), sorted(item[0])))


class _Way:
    """The network with one choice of ``--dero`` and the kernels of cores with `features`.

    It is planned for whatever regions are asked for.  The code is measured for the smallest core
    among `boards`.
    """

    def __init__(
        self,
        prepared: PreparedModel,
        candidates: Candidates,
        mode: Dero,
        features: frozenset[str],
        boards: Sequence[Board],
    ) -> None:
        boundless = replace(load_board("host"), features=features)
        self._candidates = candidates.for_planner(replace(prepared.planner, board=boundless))
        self._mode = mode
        self._options = prepared.planner.options
        self._best = smallest(self._candidates, mode)
        self._all: list[Candidate] | None = None
        self._planned: dict[tuple[int, ...], dict[str, int] | int] = {}
        prepared.options.progress(f"generating code: {self._best.label}")
        board = min(boards, key=lambda each: (each.core, each.name))
        program = program_of(prepared, self._best)
        code = code_size(generate(prepared, self._best, None, program), board)
        network = self._best.scheduled.network
        self.need = Need(
            mode.value,
            "+".join(sorted(features)) or "portable",
            self._best.arena_bytes,
            network.c_constants_bytes + program.table_bytes,
            code.bytes,
            f"{code.tool} for {board.core}" if code.tool else code.reason,
        )

    def window_plans(self) -> WindowPlans | None:
        """The frontier of plans that make some things twice."""
        return plans_in_windows(self._candidates)

    def arenas(self, regions: Sequence[Region]) -> dict[str, int] | int:
        """Bytes of the arena in each region that has one, or how many bytes are lacking."""
        sizes = tuple(region.size or 0 for region in regions)
        if self.need.arena_bytes <= sizes[0]:
            return {regions[0].name: self.need.arena_bytes}
        if len(sizes) == 1:
            return self.need.arena_bytes - sizes[0]
        if sizes not in self._planned:
            self._planned[sizes] = self._divided(sizes)
        found = self._planned[sizes]
        if isinstance(found, int):
            return found
        return {regions[int(index)].name: size for index, size in found.items() if size}

    def _divided(self, sizes: tuple[int, ...]) -> dict[str, int] | int:
        """As `arenas`, with regions named by their numbers."""
        regions = tuple(Region(str(index), size) for index, size in enumerate(sizes))
        lacking: list[int] = []
        for candidate in self._by_size():
            problem = replace(candidate.scheduled.problem, regions=regions)
            try:
                return dict(plan_memory(problem, self._options).arena_bytes)
            except DoesNotFit as error:
                lacking.append(error.excess)
        return min(lacking)

    def _by_size(self) -> Iterator[Candidate]:
        yield self._best
        if self._all is None:
            every = [c for mode in self._mode.included for c in self._candidates.of(mode)]
            self._all = sorted(every, key=lambda candidate: candidate.arena_bytes)
        yield from self._all


class _Windows:
    """What making some things twice could do for boards that are too small, if it is asked."""

    def __init__(self, way: _Way, mode: Dero, progress: Callable[[str], None]) -> None:
        self._way = way
        self._mode = mode
        self._progress = progress

    def least_ratio(self, verdict: Verdict, regions: Sequence[Region]) -> float | None:
        """The ratio of multiply-accumulates with which the first region is enough, if it can be."""
        lacking = verdict.ram_left < 0 <= verdict.flash_left
        if not lacking or self._mode is not Dero.STREAM or self._plans is None:
            return None
        return self._plans.ratio_within(regions[0].size or 0)

    @cached_property
    def _plans(self) -> WindowPlans | None:
        self._progress("looking for windows of columns")
        return self._way.window_plans()


def _verdict(way: _Way, board: Board, regions: Sequence[Region]) -> Verdict:
    arenas = way.arenas(regions)
    free_flash = board.flash_bytes - way.need.flash_bytes if board.flash else 0
    if isinstance(arenas, int):
        return Verdict({}, -arenas, free_flash)
    taken = [region for region in regions if region.name in arenas]
    left = sum((region.size or 0) - arenas[region.name] for region in taken)
    return Verdict(arenas, left, free_flash)
