"""A TFLite graph with variables as a function of its state.

    VAR_HANDLE; READ_VARIABLE -> r; ...; ASSIGN_VARIABLE(v)     r is an input more, v an output
    SVDF(x, ..., s)   with a variable tensor s                  s is both: its converter says
                                                                what it becomes

Operators run in the order of the file, so each READ_VARIABLE gives what the last ASSIGN_VARIABLE
before it took, or what the inference before has left.  Nothing of these operators remains.  What
the first inference finds is what CALL_ONCE's graph assigns; otherwise zero, as an integer the zero
point.
"""

from __future__ import annotations

import numpy as np
import tflite

from dero_tvm.boundary.errors import UserError
from relax_passes.ir.states import NetworkState

from .constant_shapes import options_of
from .reader import (
    GraphPart,
    NamedModel,
    NamedSubGraph,
    check_graph,
    constant_value,
    element_type,
    operator_name,
    shape_of,
    type_name,
)

UPDATED = {"SVDF": (4,), "UNIDIRECTIONAL_SEQUENCE_LSTM": (18, 19)}
"""Operators that write variable tensors, by the positions of these among their operands."""
_RESOURCES = ("VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "CALL_ONCE")


def take_variables(model: NamedModel, label: str, file_size: int) -> tuple[NetworkState, ...]:
    """Have `model` show its states as the last inputs and outputs; returns these states.

    Raises :class:`UserError` for variables of which it is not known what they hold.
    """
    reader = _Reader(model, label, file_size)
    reader.read()
    if not reader.changes:
        return ()
    model.part = reader.part()
    return tuple(reader.states())


class _Reader:
    """Walks the operators in the order in which they run."""

    def __init__(self, model: NamedModel, label: str, file_size: int) -> None:
        self.model, self.label, self.file_size = model, label, file_size
        self.graph = model.Subgraphs(0)
        self.changes = False  # whether anything is to be hidden or added
        self.kept: list[int] = []
        self.same: dict[int, int] = {}
        self.handles: dict[int, str] = {}  # tensor -> variable
        self.found: dict[str, int] = {}  # variable -> the tensor that its first reader gives
        self.left: dict[str, int] = {}  # variable -> the tensor that it holds now
        self.initial: dict[str, np.ndarray] = {}
        self.variables: list[int] = []  # variable tensors that operators update

    def read(self) -> None:
        for position in range(self.graph.OperatorsLength()):
            operator = self.graph.Operators(position)
            code = operator_name(self.model, operator)
            self.changes |= code in _RESOURCES
            if code == "VAR_HANDLE":
                self.handles[operator.Outputs(0)] = variable_of(operator)
            elif code == "CALL_ONCE":
                self._initialize(options_of(operator, tflite.CallOnceOptions).InitSubgraphIndex())
            elif code == "READ_VARIABLE":
                self._read(self._handle(operator), operator.Outputs(0))
            elif code == "ASSIGN_VARIABLE":
                self._assign(self._handle(operator), operator.Inputs(1))
            else:
                self.kept.append(position)
                self._note_variables(code, operator)

    def part(self) -> GraphPart:
        """What remains of the graph."""
        inputs = [self.graph.Inputs(i) for i in range(self.graph.InputsLength())]
        outputs = [self.graph.Outputs(i) for i in range(self.graph.OutputsLength())]
        left = [self.left.get(name, tensor) for name, tensor in self.found.items()]
        within = self.graph.part
        return GraphPart(
            tuple(within.operators[i] if within else i for i in self.kept),
            (*inputs, *self.found.values(), *self.variables),
            tuple(self.same.get(tensor, tensor) for tensor in (*outputs, *left, *self.variables)),
            self.same,
        )

    def states(self) -> list[NetworkState]:
        """In the order of the inputs."""
        return [
            *(NetworkState(name, self._first(name, t)) for name, t in self.found.items()),
            *(NetworkState(self.graph.names[t], self._zero(t)) for t in self.variables),
        ]

    # --- resource variables ------------------------------------------------------------------

    def _handle(self, operator: tflite.Operator) -> str:
        tensor = operator.Inputs(0)
        if tensor not in self.handles:
            raise UserError(
                f"{self.label}: {operator_name(self.model, operator)} takes its variable from "
                f"{self.graph.names[tensor]!r}, which no VAR_HANDLE gives; export the model with "
                "its variables inside"
            )
        return self.handles[tensor]

    def _read(self, variable: str, result: int) -> None:
        source = self.left.get(variable, self.found.get(variable))
        if source is None:
            self.found[variable] = result
            return
        self._refuse_other_type(variable, source, result)
        if _quantization(self.graph, source) != _quantization(self.graph, result):
            raise UserError(
                f"{self.label}: the variable {variable!r} is read as {self.graph.names[result]!r} "
                f"with another scale or zero point than {self.graph.names[source]!r} has, which "
                "it holds there; give both one quantization"
            )
        self.same[result] = source

    def _assign(self, variable: str, value: int) -> None:
        value = self.same.get(value, value)
        if variable in self.found:
            self._refuse_other_type(variable, self.found[variable], value)
        self.left[variable] = value

    def _refuse_other_type(self, variable: str, one: int, two: int) -> None:
        described = [self._described(tensor) for tensor in (one, two)]
        if described[0] != described[1]:
            raise UserError(
                f"{self.label}: the variable {variable!r} is {described[0]} as "
                f"{self.graph.names[one]!r} and {described[1]} as {self.graph.names[two]!r}; a "
                "variable keeps one shape and type"
            )

    def _described(self, tensor: int) -> str:
        entry = self.graph.Tensors(tensor)
        return f"{type_name(entry.Type())} {list(shape_of(entry))}"

    def _initialize(self, index: int) -> None:
        """Constants that the graph of CALL_ONCE assigns."""
        index = self.model.place_of(index)
        if not 0 < index < self.model.SubgraphsLength():
            raise ValueError(f"CALL_ONCE runs graph {index} of {self.model.SubgraphsLength()}")
        graph = check_graph(self.model, index, self.file_size)
        handles: dict[int, str] = {}
        for position in range(graph.OperatorsLength()):
            operator = graph.Operators(position)
            code = operator_name(self.model, operator)
            values = None
            if code == "VAR_HANDLE":
                handles[operator.Outputs(0)] = variable_of(operator)
                continue
            if code == "ASSIGN_VARIABLE" and operator.Inputs(0) in handles:
                values = constant_value(self.model, graph.Tensors(operator.Inputs(1)))
            if values is None:
                raise UserError(
                    f"{self.label}: CALL_ONCE initializes variables with what {code} computes; "
                    "only constants are supported: initialize them with constants"
                )
            self.initial[handles[operator.Inputs(0)]] = values

    def _first(self, variable: str, tensor: int) -> np.ndarray:
        """What the first inference finds in a variable."""
        if variable not in self.initial:
            return self._zero(tensor)
        values, expected = self.initial[variable], self._zero(tensor)
        if (values.shape, values.dtype) != (expected.shape, expected.dtype):
            raise UserError(
                f"{self.label}: the variable {variable!r} is initialized with "
                f"{values.dtype} {list(values.shape)} and read as {self._described(tensor)}; a "
                "variable keeps one shape and type"
            )
        return values

    def _zero(self, tensor: int) -> np.ndarray:
        entry = self.graph.Tensors(tensor)
        dtype = element_type(entry)
        zero = (_quantization(self.graph, tensor) or ((0.0,), (0,)))[1][0]
        return np.full(shape_of(entry), zero if dtype.kind in "iu" else 0, dtype)

    # --- variable tensors --------------------------------------------------------------------

    def _note_variables(self, code: str, operator: tflite.Operator) -> None:
        for place in range(operator.InputsLength()):
            tensor = operator.Inputs(place)
            updated = place in UPDATED.get(code, ())
            if tensor < 0 or not (updated or self.graph.Tensors(tensor).IsVariable()):
                continue
            name = self.graph.names[tensor]
            where = f"{self.label}: the variable {name!r} of {code} "
            where += f"({self.graph.names[operator.Outputs(0)]!r})"
            if not updated:
                raise UserError(
                    f"{where} keeps state from one inference to the next, which is not supported "
                    "for this operator; export a model that takes its state as inputs and gives "
                    "it as outputs"
                )
            if not self.graph.Tensors(tensor).IsVariable():
                raise UserError(
                    f"{where} is an ordinary tensor, which the operator would overwrite; mark it "
                    "as a variable, as converters do"
                )
            if constant_value(self.model, self.graph.Tensors(tensor)) is not None:
                raise UserError(f"{where} has values of its own; variables begin with zeros")
            if tensor not in self.variables:
                self.variables.append(tensor)
                self.changes = True


def variable_of(operator: tflite.Operator) -> str:
    """The name of a variable, which graphs share."""
    options = options_of(operator, tflite.VarHandleOptions)
    parts = (options.Container() or b"", options.SharedName() or b"")
    return "/".join(part.decode("utf-8", "replace") for part in parts if part) or "variable"


def _quantization(
    graph: NamedSubGraph, tensor: int
) -> tuple[tuple[float, ...], tuple[int, ...]] | None:
    """Scales and zero points."""
    found = graph.Tensors(tensor).Quantization()
    if found is None:
        return None
    scales = tuple(float(found.Scale(i)) for i in range(found.ScaleLength()))
    zero_points = tuple(int(found.ZeroPoint(i)) for i in range(found.ZeroPointLength()))
    return scales, zero_points or (0,)
