"""The report of a compilation: data first; tables and files are views of it.

`build_report` is in a module of its own, so that reports can be read without TVM.
"""

from .data import LiveBuffer, Report, ReportedBuffer, ReportedResidual, ReportedStep

__all__ = [
    "LiveBuffer",
    "Report",
    "ReportedBuffer",
    "ReportedResidual",
    "ReportedStep",
]
