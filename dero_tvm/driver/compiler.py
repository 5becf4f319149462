"""The driver: from a model file to generated code and its report, one stage after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tvm

from relax_passes import pipeline

from ..aot import ModelArchive
from ..boards.board import Board, load_board
from ..boards.memory_size import parse_size
from ..boundary.errors import UserError, internal_errors
from ..boundary.one_at_a_time import one_at_a_time
from ..kernels import preferred
from ..planning import MemoryPlan
from ..report import Report
from ..report.build import build_report
from ..runners import RunResult, run
from ..schedule.network import Network
from ..schedule.to_problem import Sharing
from ..tuning import PlanCounter, Tuner
from ..tuning.measure import meter_of
from .candidates import Candidate
from .choose_plan import fastest_within, smallest
from .dero_levels import BARE, Dero, parse_dero
from .generate import generate
from .network_planner import STACK_RESERVE
from .prepare import PreparedModel, prepare

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class CompiledModel:
    """A compiled model: the rewritten module, its memory plan, the generated code, the report."""

    module: tvm.IRModule
    network: Network
    plan: MemoryPlan
    archive: ModelArchive
    report: Report
    board: Board

    def save(self, path: str | Path) -> None:
        """Write the Model Library Format archive (``.tar``, ``.tar.gz``), whole or not at all."""
        self.archive.save(path)

    def run(
        self,
        inputs: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        device: str = "host",
    ) -> dict[str, Any] | list[dict[str, Any]]:
        """Outputs by name for one inference, or a list of them for a list of inputs.

        `inputs` maps input names (as in the model file) to arrays.  `device` is ``host`` (LLVM
        JIT), ``host-c`` (a C compiler) or ``qemu:<machine>``.
        """
        if isinstance(inputs, Mapping):
            return self.measure([inputs], device).outputs[0]
        return self.measure(inputs, device).outputs

    def measure(
        self,
        inputs: Sequence[Mapping[str, Any]],
        device: str = "host",
        *,
        profile: bool = False,
    ) -> RunResult:
        """Like `run`, with what the run measured: stack, code size, instructions.

        With `profile`, on ``host-c`` and ``qemu:<machine>``, also of each step.
        """
        return run(self.archive, inputs, device, profile=profile)

    def plot(self) -> Figure:
        """Bytes alive at each step as a matplotlib figure; UserError if that is not installed."""
        return self.report.plot()

    def _repr_html_(self) -> str:
        """What a notebook shows: the report."""
        return self.report._repr_html_()


@one_at_a_time
@internal_errors
def compile(
    model: Any,
    *,
    target: str | Path | Board = "host",
    dero: str | Dero = BARE,
    memory_budget: int | str | None = None,
    input_shapes: Mapping[str, tuple[int, ...]] | None = None,
    input_layout: str = "model",
    integer_io: bool = False,
    keep_inputs: bool = False,
    external_io: bool = False,
    stream_input: bool | Sequence[str] = False,
    stream_output: bool | Sequence[str] = False,
    name: str = "default",
    reserve: int | str = STACK_RESERVE,
    time_limit: float = 20.0,
    tune: bool | str | Path = False,
    progress: Callable[[str], None] = lambda stage: None,
) -> CompiledModel:
    """Compile a trained network for a microcontroller.

    Parameters
    ----------
    model
        Path of an ONNX, TFLite or PyTorch ``.pt2`` file, a `LoadedModel`, or one of the objects
        that `dero_tvm.load` accepts.
    target
        A board's name (see `dero_tvm.list_boards`), the path of a board file, or a `Board`.
    dero
        How far to go: ``none``, ``accumulate``, ``overlap`` or ``stream``, each with those before
        it (see `Dero`).  The smallest plan is taken, the simplest of equal ones.
    memory_budget
        Bytes that the arena may have, everything in it counted, as a number or a text such as
        ``"64KB"`` (65,536 bytes; see `memory_size`).  Instead of the smallest plan, the fastest
        that fits is taken: with `tune` the one with the fewest instructions, counted in QEMU;
        otherwise the one that goes least far and streams the fewest operators.
    input_shapes
        Shapes by input name, for models whose shapes are symbolic.
    input_layout
        ``model`` keeps the layout of the model file; ``nhwc`` declares four-dimensional NCHW
        inputs channels-last, which saves their transposition on the device.
    integer_io
        A quantized network takes and gives the integers themselves, without conversions from and
        to float.
    keep_inputs
        Inputs still hold their values after a run.
    external_io
        Inputs and outputs lie in the caller's memory, outside the arena.
    stream_input, stream_output
        The application hands over inputs, and takes outputs, one row at a time through functions
        of its own, so that they never lie in memory whole: True for all of them, or their names.
        Needs ``dero="stream"``.
    name
        Module name: ``default`` gives ``tvmgen_default_run``.
    reserve
        Bytes of the board's first memory region that are left to the stack and the application,
        as a number or a text such as ``"4KB"``.
    time_limit
        Seconds that the search for an order and for addresses may take on an ordinary desktop.
        They are counted in steps, so that the result is the same on every machine.
    tune
        Measure the kernels that an operation may have and take the fastest: True keeps the figures
        in the user's own cache, a path in that file (see `dero_tvm.tuning`).  With
        `memory_budget`, so are the plans that fit it, on targets with a Cortex-M core.
    progress
        Called with the name of each stage as it begins.

    Raises
    ------
    UserError
        With one line that says what is wrong and what to do.
    """
    mode = parse_dero(dero)
    budget = None if memory_budget is None else parse_size(memory_budget, "--memory-budget")
    board = target if isinstance(target, Board) else load_board(str(target))
    cache = None if isinstance(tune, bool) else Path(tune)
    tuner = None if tune is False else Tuner(board, cache, progress=progress)
    prepared = prepare(
        model,
        target=board,
        input_shapes=input_shapes,
        input_layout=input_layout,
        integer_io=integer_io,
        keep_inputs=keep_inputs,
        external_io=external_io,
        stream_input=stream_input,
        stream_output=stream_output,
        name=name,
        reserve=reserve,
        time_limit=time_limit,
        choose=tuner.choose if tuner else preferred,
        progress=progress,
    )
    if prepared.marked is not None and mode is not Dero.STREAM:
        raise UserError(
            f"--dero {mode.value} keeps every tensor whole; inputs and outputs by rows "
            "(--stream-input, --stream-output) need --dero stream"
        )
    candidates = prepared.candidates(progress)
    counter = None
    if budget is None:
        chosen = smallest(candidates, mode)
    elif tuner is None or board.core == "host":  # whose clock cannot tell plans apart
        chosen = fastest_within(candidates, mode, budget)
    else:
        counter = PlanCounter(prepared, meter_of(board), progress)
        chosen = fastest_within(candidates, mode, budget, counter)
    prepared.planner.check_flash(chosen.scheduled.network)
    report = _report(prepared, mode, budget, chosen, progress)
    if tuner is not None:
        tuning = tuner.report(chosen.scheduled.network)
        plans = tuple(counter.plans) if counter else ()
        report = replace(report, tuning=replace(tuning, plans=plans))
    progress("generating code")
    archive = generate(prepared, chosen, report)
    return CompiledModel(
        chosen.module, chosen.scheduled.network, chosen.plan, archive, report, prepared.board
    )


def _report(
    prepared: PreparedModel,
    mode: Dero,
    budget: int | None,
    chosen: Candidate,
    progress: Callable[[str], None],
) -> Report:
    planner, options = prepared.planner, prepared.planner.options
    progress("planning the network as written")
    written = replace(options, reorder=False)
    before = planner.schedule(prepared.canonical, Sharing.NONE, bounded=False)
    progress("planning the plain network")
    plain_module = pipeline.plain()(prepared.canonical)
    plain = planner.schedule(plain_module, Sharing.NONE, bounded=False)
    return build_report(
        model=prepared.loaded.name,
        board=prepared.board,
        reserve=planner.reserve,
        dero=mode.value,
        memory_budget=budget,
        chosen=chosen.label,
        module=chosen.module,
        after=(chosen.scheduled, chosen.plan),
        before=(before, planner.plan(before, written)),
        plain=(plain, planner.plan(plain)),
        plain_module=plain_module,
    )
