"""The report of a compilation: data first; tables and files are views of it.

`build_report` is in a module of its own, so that reports can be read without TVM.
"""

from .data import LiveBuffer, Report, ReportedResidual
from .operators import ReportedOperator
from .timeline import ReportedBuffer, ReportedStep, Timeline

__all__ = [
    "LiveBuffer",
    "Report",
    "ReportedBuffer",
    "ReportedOperator",
    "ReportedResidual",
    "ReportedStep",
    "Timeline",
]
