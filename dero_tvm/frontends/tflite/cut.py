"""A part of a TFLite graph: the operators, inputs and outputs that `cut.part_of` leaves."""

from __future__ import annotations

from ..cut import Cut, NamedGraph, part_of
from .reader import GraphPart, NamedModel, constant_value


def cut_graph(model: NamedModel, cut: Cut, label: str) -> None:
    """Have the first graph of `model` show what `cut` names.  Raises :class:`UserError`."""
    graph = model.Subgraphs(0)
    part = part_of(named_graph(model), cut, label)
    index = {name: position for position, name in enumerate(graph.names)}
    model.part = GraphPart(
        part.operators,
        tuple(index[name] for name in part.inputs),
        tuple(index[name] for name in part.outputs),
    )


def named_graph(model: NamedModel) -> NamedGraph:
    """The tensors of the first graph by name."""
    graph = model.Subgraphs(0)
    operators = [graph.Operators(position) for position in range(graph.OperatorsLength())]
    operands = [[op.Inputs(i) for i in range(op.InputsLength())] for op in operators]
    results = [[op.Outputs(i) for i in range(op.OutputsLength())] for op in operators]
    constants = [
        graph.names[index]
        for index in range(graph.TensorsLength())
        if constant_value(model, graph.Tensors(index)) is not None
    ]
    return NamedGraph(
        [[graph.names[index] for index in indices if index >= 0] for indices in operands],
        [[graph.names[index] for index in indices if index >= 0] for indices in results],
        [graph.names[graph.Inputs(i)] for i in range(graph.InputsLength())],
        [graph.names[graph.Outputs(i)] for i in range(graph.OutputsLength())],
        frozenset(constants),
    )
