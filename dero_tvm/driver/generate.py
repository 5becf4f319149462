"""From a candidate to the archive with its code."""

from __future__ import annotations

from ..aot import ModelArchive
from ..aot.emit import emit
from ..aot.program import build_program
from ..report import Report
from .candidates import Candidate
from .network_planner import naming
from .prepare import PreparedModel


def generate(prepared: PreparedModel, chosen: Candidate, report: Report | None) -> ModelArchive:
    """The archive of one candidate; without a report for measurements alone."""
    with naming(prepared.planner.label):
        return emit(
            build_program(chosen.scheduled, chosen.plan),
            target=prepared.board.name,
            report=report.to_dict() if report else {},
            source_ir=chosen.module.script(),
        )
