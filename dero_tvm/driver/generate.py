"""From a candidate to the archive with its code."""

from __future__ import annotations

from ..aot import ModelArchive
from ..aot.emit import emit
from ..aot.program import Program, build_program
from ..report import Report
from .candidates import Candidate
from .network_planner import naming
from .prepare import PreparedModel


def program_of(prepared: PreparedModel, chosen: Candidate) -> Program:
    """The program that runs one candidate."""
    with naming(prepared.planner.label):
        return build_program(chosen.scheduled, chosen.plan)


def generate(
    prepared: PreparedModel,
    chosen: Candidate,
    report: Report | None,
    program: Program | None = None,
) -> ModelArchive:
    """The archive of one candidate, or of its program; without a report for measurements alone."""
    program = program or program_of(prepared, chosen)
    with naming(prepared.planner.label):
        return emit(
            program,
            target=prepared.options.board.name,
            report=report.to_dict() if report else {},
            source_ir=chosen.module.script(),
        )
