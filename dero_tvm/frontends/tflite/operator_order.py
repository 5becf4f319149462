"""Which operator computes each tensor of a TFLite file, and whether that is before it is read.

Operators run in the order in which the file lists them, and each writes over what its results
held.  Of a tensor that is read before it is computed, or that two operators compute, the answer
would be what happens to lie in memory.
"""

from __future__ import annotations

import tflite

from dero_tvm.boundary.errors import UserError

from ..execution_order import execution_order, late_operands
from .reader import NamedModel, has_data, operator_name


def refuse_order(model: NamedModel, label: str) -> None:
    """Results computed twice or over what is given, and operands that are computed too late."""
    makers = _makers(model, label)
    graph = model.Subgraphs(0)
    operands = [
        [graph.names[i] for i in map(operator.Inputs, range(operator.InputsLength())) if i >= 0]
        for operator in map(graph.Operators, range(graph.OperatorsLength()))
    ]
    if late := late_operands(operands, makers):
        # Of a circle no order would be right.
        execution_order(operands, makers, label, lambda position: _title(model, position))
        reader, name = late[0]
        raise UserError(
            f"{label}: {_title(model, reader)} reads the tensor {name!r} before "
            f"{_title(model, makers[name])} computes it; list the operators in the order in which "
            "they run"
        )
    for index in range(graph.OutputsLength()):
        tensor = graph.Outputs(index)
        name = graph.names[tensor]
        if name not in makers and name not in _given(model):
            raise UserError(
                f"{label}: the output {name!r} is computed by no operator; name as outputs what "
                "the network computes"
            )


def _makers(model: NamedModel, label: str) -> dict[str, int]:
    """The position of the operator that computes each tensor."""
    graph = model.Subgraphs(0)
    given = _given(model)
    makers: dict[str, int] = {}
    for position in range(graph.OperatorsLength()):
        operator = graph.Operators(position)
        for result in range(operator.OutputsLength()):
            name = graph.names[operator.Outputs(result)]
            if name in makers:
                by = (
                    f"{_title(model, position)} computes the tensor {name!r} twice"
                    if makers[name] == position
                    else f"two operators compute the tensor {name!r}: "
                    f"{_title(model, makers[name])} and {_title(model, position)}"
                )
                raise UserError(f"{label}: {by}; give each result a tensor of its own")
            if name in given:
                raise UserError(
                    f"{label}: {_title(model, position)} computes the tensor {name!r}, which is "
                    f"{given[name]} already; give each result a tensor of its own"
                )
            makers[name] = position
    return makers


def _given(model: NamedModel) -> dict[str, str]:
    """What holds values before any operator runs: the names of tensors, and what they are."""
    graph = model.Subgraphs(0)
    constants = {
        name: "a constant of the model"
        for index, name in enumerate(graph.names)
        if has_data(model.Buffers(graph.Tensors(index).Buffer()), graph.Tensors(index))
    }
    inputs = [graph.names[graph.Inputs(i)] for i in range(graph.InputsLength())]
    return {**constants, **dict.fromkeys(inputs, "an input of the model")}


def _title(model: NamedModel, position: int) -> str:
    """An operator by its number, because its results are what is in question."""
    operator: tflite.Operator = model.Subgraphs(0).Operators(position)
    return f"{operator_name(model, operator)} (operator {position})"
