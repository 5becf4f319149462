"""The report of a compilation: data first; tables and files are views of it."""

from .build import build_report
from .data import LiveBuffer, Report, ReportedBuffer, ReportedResidual, ReportedStep

__all__ = [
    "LiveBuffer",
    "Report",
    "ReportedBuffer",
    "ReportedResidual",
    "ReportedStep",
    "build_report",
]
