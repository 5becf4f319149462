"""A part of a TFLite graph: the operators, inputs and outputs that `cut.part_of` leaves."""

from __future__ import annotations

from dero_tvm.boundary.errors import UserError

from ..cut import Cut, NamedGraph, Part, needed_operators, part_of
from .reader import GraphPart, NamedModel, constant_value, operator_name
from .variables import variable_of


def cut_graph(model: NamedModel, cut: Cut, label: str) -> None:
    """Have the first graph of `model` show what `cut` names.  Raises :class:`UserError`."""
    graph = model.Subgraphs(0)
    names = named_graph(model)
    part = part_of(names, cut, label)
    index = {name: position for position, name in enumerate(graph.names)}
    model.part = GraphPart(
        tuple(sorted(_with_updates(model, names, part, label))),
        tuple(index[name] for name in part.inputs),
        tuple(index[name] for name in part.outputs),
    )


def _with_updates(model: NamedModel, names: NamedGraph, part: Part, label: str) -> set[int]:
    """The operators of a part, and those that set the variables that it reads.

    Raises :class:`UserError` if those need an input of the model that the part has not.
    """
    graph = model.Subgraphs(0)
    operators = [graph.Operators(position) for position in range(graph.OperatorsLength())]
    codes = [operator_name(model, operator) for operator in operators]
    handles = {op.Outputs(0): i for i, op in enumerate(operators) if codes[i] == "VAR_HANDLE"}
    variables = {tensor: variable_of(operators[i]) for tensor, i in handles.items()}
    updates = [i for i, code in enumerate(codes) if code == "ASSIGN_VARIABLE"]
    kept = set(part.operators)
    before: set[int] = set()
    while kept != before:
        before = set(kept)
        read = {variables.get(operators[i].Inputs(0)) for i in kept if codes[i] == "READ_VARIABLE"}
        if read:
            kept |= {i for i, code in enumerate(codes) if code == "CALL_ONCE"}
        for update in updates:
            handle, value = (operators[update].Inputs(place) for place in (0, 1))
            if handle not in handles or variables[handle] not in read:
                continue
            needed, inputs = needed_operators(names, [graph.names[value]], part.inputs)
            if lacking := sorted(inputs - set(part.inputs)):
                raise UserError(
                    f"{label}: the variable {variables[handle]!r} of this part is set from the "
                    f"input {lacking[0]!r}, which is not in --inputs; name it there, too"
                )
            kept |= {update, handles[handle], *needed}
    return kept


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
        or graph.Tensors(index).IsVariable()
    ]
    return NamedGraph(
        [[graph.names[index] for index in indices if index >= 0] for indices in operands],
        [[graph.names[index] for index in indices if index >= 0] for indices in results],
        [graph.names[graph.Inputs(i)] for i in range(graph.InputsLength())],
        [graph.names[graph.Outputs(i)] for i in range(graph.OutputsLength())],
        frozenset(constants),
    )
