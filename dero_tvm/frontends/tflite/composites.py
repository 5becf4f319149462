"""STABLEHLO_COMPOSITE operators as the graphs that they stand for.

A converter from PyTorch or JAX keeps a function that it knows by name (a normalization, an
attention) as one operator beside a graph that computes it, for interpreters with a kernel of their
own for it.  Nothing here has one: the graph is put in place of the operator.
"""

from __future__ import annotations

from collections.abc import Mapping

import tflite

from .reader import Inlined, NamedModel, NamedSubGraph, check_graph, operator_name

COMPOSITE = "STABLEHLO_COMPOSITE"
_MOST_TENSORS = 1 << 18
_DEEPEST = 32  # composites within composites


def inline_composites(model: NamedModel, file_size: int) -> None:
    """Have the first graph of `model` show what its composites stand for.

    Raises ValueError if one refers to a graph that is not there or does not fit it.
    """
    graph = model.Subgraphs(0)
    operators = (graph.Operators(i) for i in range(graph.OperatorsLength()))
    if all(operator_name(model, operator) != COMPOSITE for operator in operators):
        return
    inliner = _Inliner(model, file_size)
    inliner.add(graph, {}, 0)
    model.names = inliner.names
    model.inlined = Inlined(
        tuple(inliner.tensors), tuple(inliner.operators), frozenset(inliner.graphs)
    )


class _Inliner:
    def __init__(self, model: NamedModel, file_size: int) -> None:
        self.model = model
        self.file_size = file_size
        self.names = list(model.names)
        self.taken = set(self.names)
        self.tensors: list[tflite.Tensor] = []
        self.operators: list[tuple[tflite.Operator, Mapping[int, int]]] = []
        self.graphs: dict[int, NamedSubGraph] = {}

    def add(self, graph: NamedSubGraph, tensors: Mapping[int, int], depth: int) -> None:
        """The operators of `graph`, whose tensors are those of the merged one by `tensors`."""
        for position in range(graph.OperatorsLength()):
            operator = graph.Operators(position)
            if operator_name(self.model, operator) == COMPOSITE:
                self._replace(operator, tensors, depth)
            else:
                self.operators.append((operator, tensors))

    def _replace(self, operator: tflite.Operator, around: Mapping[int, int], depth: int) -> None:
        index, what = _graph_of(self.model, operator)
        if depth == _DEEPEST:
            raise ValueError(f"{what} is one of {depth} that lie within each other")
        graph = self._graph(index, what)
        given = [operator.Inputs(i) for i in range(operator.InputsLength())]
        wanted = [operator.Outputs(i) for i in range(operator.OutputsLength())]
        taken = [graph.Inputs(i) for i in range(graph.InputsLength())]
        made = [graph.Outputs(i) for i in range(graph.OutputsLength())]
        if len(given) != len(taken) or len(wanted) != len(made):
            raise ValueError(f"{what} has other operands or results than graph {index}")
        operators = map(graph.Operators, range(graph.OperatorsLength()))
        computed = {inner.Outputs(i) for inner in operators for i in range(inner.OutputsLength())}
        if not made or len(set(made)) < len(made) or not computed.issuperset(made):
            raise ValueError(f"{what} hands on what it is given, or one result twice")
        tensors = {
            inner: around.get(outer, outer)
            for inner, outer in zip((*taken, *made), (*given, *wanted))
        }
        for inner in range(graph.TensorsLength()):
            if inner not in tensors:
                tensors[inner] = len(self.names)
                self.tensors.append(graph.Tensors(inner))
                self.names.append(self._unused(graph.names[inner]))
        if len(self.names) > _MOST_TENSORS:
            raise ValueError(f"its composites hold more than {_MOST_TENSORS} tensors")
        self.add(graph, tensors, depth + 1)

    def _graph(self, index: int, what: str) -> NamedSubGraph:
        if index not in self.graphs:
            if not 0 < index < self.model.SubgraphsLength():
                count = self.model.SubgraphsLength()
                raise ValueError(f"{what} stands for graph {index} of {count}")
            self.graphs[index] = check_graph(self.model, index, self.file_size)
        return self.graphs[index]

    def _unused(self, name: str) -> str:
        if name in self.taken:
            name = f"{name}_{len(self.names)}"
        while name in self.taken:
            name += "_"
        self.taken.add(name)
        return name


def _graph_of(model: NamedModel, operator: tflite.Operator) -> tuple[int, str]:
    """The graph that a composite stands for, and what to call the composite."""
    raw = operator.BuiltinOptions2()
    if raw is None:
        raise ValueError(f"a {COMPOSITE} does not say what it stands for")
    options = tflite.StableHLOCompositeOptions()
    options.Init(raw.Bytes, raw.Pos)
    name = (options.Name() or b"").decode("utf-8", "replace")
    return model.place_of(options.DecompositionSubgraphIndex()), f"the composite {name!r}"
