"""Inputs and outputs by rows as operators at the ends of cascades, for `StreamRows`.

x (by rows) -> conv -> ...      becomes      source -> conv -> ...     x: a ring of rows
... -> conv -> y (by rows)      becomes      ... -> conv -> sink       y: a ring of one row
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import tvm

from ..ir.attributes import streamed_inputs, streamed_outputs
from ..ir.operator_graph import OperatorGraph
from ..ir.straight_line import read_function
from ..operators.row_ports import sink_signature, source_signature
from .cascade_operator import CascadeOperator
from .row_schedule import simulate
from .segmentation import Item
from .stream_ports import CannotStream


@dataclass(frozen=True)
class RowPorts:
    """Names of the tensors that are row-streamed."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def ports_of(mod: tvm.IRModule) -> RowPorts:
    """The tensors of ``main`` that `StreamPorts` marked.

    Raises ``CannotStream`` for outputs that no operator makes for this purpose alone.
    """
    line = read_function(mod)
    made = [var.name for var, _ in line.bindings]
    names = [getattr(result, "name", "") for result in line.results]
    for index in streamed_outputs(mod):
        if names[index] not in made or names.count(names[index]) > 1:
            raise CannotStream(
                f"output number {index} is an input, a constant or another output as well, so "
                "nothing makes it row by row"
            )
    return RowPorts(
        tuple(line.parameters[index].name for index in streamed_inputs(mod)),
        tuple(names[index] for index in streamed_outputs(mod)),
    )


def with_ports(items: Sequence[Item], graph: OperatorGraph, ports: RowPorts) -> list[Item]:
    """`items` with a source before the first reader of each input, a sink behind each output."""
    found: list[Item] = []
    waiting = list(ports.inputs)
    for item in items:
        for name in [name for name in waiting if name in item.tensors]:
            waiting.remove(name)
            found.append(_source(graph, name))
        name = item.operator.result
        if name in ports.outputs:
            found += [replace(item, never_whole=True), _sink(graph, name)]
        else:
            found.append(item)
    if waiting:
        raise CannotStream(f"input {waiting[0]} is read by no operator")
    return found


def _source(graph: OperatorGraph, name: str) -> Item:
    data = graph[name]
    operator = CascadeOperator(source_signature(data.spec), (), name, ())
    return Item(operator, {}, data.bytes, never_whole=True, port=True)


def _sink(graph: OperatorGraph, name: str) -> Item:
    data = graph[name]
    operator = CascadeOperator(sink_signature(data.spec), (name,), f"{name} by rows", (0,))
    return Item(operator, {name: data.bytes}, 0, port=True)


def check_rings(
    items: Sequence[Item], segments: Sequence[tuple[int, int]], graph: OperatorGraph
) -> None:
    """Raises ``CannotStream`` if the ring of a source has all rows of the input."""
    for begin, end in segments:
        sources = [i.operator for i in items[begin:end] if i.port and not i.operator.operands]
        if not sources:
            continue
        later = {name for item in items[end:] for name in item.tensors}
        schedule = simulate([item.operator for item in items[begin:end]], whole=later)
        for source in sources:
            if source.result not in schedule.rings:
                reader = next(i for i in items[end:] if source.result in i.operator.operands)
                raise CannotStream(
                    f"input {source.result} cannot be handed over row by row: "
                    f"{_called(graph, reader.operator.result)} reads it behind the cascade that "
                    "takes its rows"
                )
            if schedule.rings[source.result] == source.signature.output.rows:
                raise CannotStream(
                    f"all rows of input {source.result} are needed at once: what reads it works "
                    "on whole columns, as a transpose of NCHW images does (--input-layout "
                    "nhwc leaves it out), or the image is too low"
                )


def why_not(items: Sequence[Item], graph: OperatorGraph, ports: RowPorts) -> str:
    """Why no segmentation trades these ports row by row, as far as one operator is the reason."""
    by_name = {item.operator.result: item for item in items if not item.port}
    for name in ports.inputs:
        read = [node for node in graph.readers(name) if node in by_name]
        for node in read:
            item = by_name[node]
            row_wise = {item.operator.operands[index] for index in item.operator.row_operands}
            if not item.streamable or name not in row_wise:
                return (
                    f"input {name} cannot be handed over row by row: "
                    f"{_called(graph, node)} needs it whole"
                )
        if len(read) > 1:
            called = [_called(graph, node) for node in read]
            return (
                f"input {name} cannot be handed over row by row: its readers "
                f"{', '.join(dict.fromkeys(called))} cannot all run in one cascade"
            )
    for name in ports.outputs:
        others = [node for node in graph.readers(name) if node in by_name]
        if others:
            return (
                f"the output of {_called(graph, name)} cannot be taken row by row: "
                f"{_called(graph, others[0])} reads it too"
            )
        if not by_name[name].streamable:
            return (
                f"the output of {_called(graph, name)} cannot be taken row by row: it is made all "
                "at once"
            )
    return (
        "the inputs and outputs chosen cannot be streamed row by row together: no cascade reaches "
        "from operators that need one of them to those that need the others"
    )


def _called(graph: OperatorGraph, node: str) -> str:
    """An operator as the model file calls it, or as Relax does where that is not known."""
    found = graph[node]
    if found.origin is not None:
        return str(found.origin)
    return f"{found.operator.split('.')[-1]} {node}".strip()
