"""The two ends of a network that trades rows with its application instead of whole tensors.

They stand in row schedules alone, never in a module: ``main`` keeps its parameters and results.
A source makes the rows of an input, in a ring as any operator inside a cascade; a sink takes the
rows of an output and gives none, so its result has rows of no bytes.
"""

from __future__ import annotations

from dataclasses import replace

from .registry import PREFIX, Operator, OperatorClass, register_for_schedules
from .signature import Signature, TensorSpec


@register_for_schedules
class RowSource(Operator):
    """Asks the application for a row of an input."""

    name = "row_source"
    memory_class = OperatorClass.LAYOUT
    arguments = ()
    read_by_rows = ()


@register_for_schedules
class RowSink(Operator):
    """Hands a row of an output to the application."""

    name = "row_sink"
    memory_class = OperatorClass.LAYOUT
    arguments = ("data",)

    def needed_rows(self, signature: Signature, argument: int, row: int) -> tuple[int, int]:
        return row, row + 1


SOURCE, SINK = PREFIX + RowSource.name, PREFIX + RowSink.name


def source_signature(port: TensorSpec) -> Signature:
    """The signature of the source of an input."""
    return Signature(SOURCE, (), port)


def sink_signature(port: TensorSpec) -> Signature:
    """The signature of the sink of an output."""
    return Signature(SINK, (port,), replace(port, shape=(*port.shape[:-1], 0), pixel_stride=0))
