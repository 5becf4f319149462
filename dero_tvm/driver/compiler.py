"""The driver: from a model file to generated code and its report, one stage after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tvm

from relax_passes import pipeline

from ..aot import ModelArchive
from ..aot.program import Program
from ..boards.board import Board
from ..boundary.errors import internal_errors
from ..boundary.one_at_a_time import one_at_a_time
from ..planning import MemoryPlan
from ..report import Report
from ..report.build import build_report
from ..runners import RunResult, run
from ..schedule.network import Network
from ..schedule.to_problem import Sharing
from .candidates import Candidate
from .choose_plan import fastest_within, in_given_windows, smallest
from .generate import generate, program_of
from .integer_ports import integer_ports_note
from .options import CompileOptions
from .plan_counter import PlanCounter
from .prepare import PreparedModel, prepare
from .rows_proof import rows_proof
from .takes_options import takes_options

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


@takes_options(CompileOptions)
@one_at_a_time
@internal_errors
def compile(model: Any, options: CompileOptions) -> CompiledModel:
    """Compile a trained network for a microcontroller.

    Parameters
    ----------
    model
        Path of an ONNX, TFLite or PyTorch ``.pt2`` file, a `LoadedModel`, or one of the objects
        that `dero_tvm.load` accepts.
    options
        `CompileOptions`; its fields may be given as keywords, instead or as changes.

    Raises
    ------
    UserError
        With one line that says what is wrong and what to do.
    """
    prepared = prepare(model, options)
    tuner, board = prepared.tuner, options.board
    candidates = prepared.candidates()
    counter = None
    if options.windows:
        chosen = in_given_windows(candidates, options.windows)
    elif options.budget is None:
        chosen = smallest(candidates, options.mode)
    else:
        if tuner is not None and board.core != "host":  # whose clock cannot tell plans apart
            counter = PlanCounter(prepared, tuner.meter)
        chosen = fastest_within(
            candidates, options.mode, options.budget, counter, options.max_recompute
        )
    program = program_of(prepared, chosen)
    prepared.planner.check_flash(chosen.scheduled.network, program.table_bytes)
    report = _report(prepared, chosen, program)
    note = integer_ports_note(prepared, chosen, report)
    if note is not None:
        report = replace(report, notes=(*report.notes, note))
    prepared.passes.compiled(chosen.module)
    if tuner is not None:
        tuning = tuner.report(chosen.scheduled.network)
        plans = tuple(counter.plans) if counter else ()
        report = replace(report, tuning=replace(tuning, plans=plans))
    options.progress("generating code")
    archive = generate(prepared, chosen, report, program)
    return CompiledModel(
        chosen.module, chosen.scheduled.network, chosen.plan, archive, report, board
    )


def _report(prepared: PreparedModel, chosen: Candidate, program: Program) -> Report:
    planner, options = prepared.planner, prepared.options
    options.progress("planning the network as written")
    written = replace(planner.options, reorder=False)
    before = planner.schedule(prepared.canonical, Sharing.NONE, bounded=False)
    options.progress("planning the plain network")
    plain_module = prepared.passes.run(pipeline.plain(), prepared.canonical, "plain")
    plain = planner.schedule(plain_module, Sharing.NONE, bounded=False)
    options.progress("looking for a bound")
    proof = rows_proof(planner, chosen.scheduled, chosen.plan)
    return build_report(
        model=prepared.loaded.name,
        board=options.board,
        reserve=options.reserved,
        dero=options.mode.value,
        memory_budget=options.budget,
        chosen=chosen.label,
        module=chosen.module,
        after=(chosen.scheduled, chosen.plan),
        before=(before, planner.plan(before, written)),
        plain=(plain, planner.plan(plain)),
        plain_module=plain_module,
        rows_proof=proof,
        table_bytes=program.table_bytes,
        operator_tables=program.operator_tables,
        call_lists=program.call_lists,
    )
