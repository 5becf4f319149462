"""The operator graph that the analyses share.

Nodes are the tensors of ``main`` under the names of their variables, each together with the
operator that computes it; edges lead from a tensor to the operators that read it.  Network inputs
are nodes as well, and result ``i`` of the network is a node ``return[i]`` that reads one tensor.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import networkx as nx
import tvm
from tvm import relax
from tvm.ir import Call, GlobalVar, Op

from ..operators import (
    Operator,
    OperatorClass,
    Signature,
    TensorSpec,
    implementation,
    operator_of,
    signature_of,
    spec_of,
)
from .attributes import CASCADE, IN_PLACE, attribute
from .inline import inlined
from .origins import Origin, origin_of
from .straight_line import StraightLine, leaves, read_function


@dataclass(frozen=True, eq=False)
class Node:
    """A tensor and what computes it."""

    kind: Literal["input", "operator", "cascade", "output"]
    """A cascade is a call of an outlined function."""

    index: int
    """Position in the written order; -1 for inputs, the number of bindings for outputs."""

    known_spec: TensorSpec | None
    """Shape and type, or None where an opaque operator returns a tuple."""

    bytes: int
    """Of the tensor, or of all tensors of the tuple."""

    operands: tuple[str | None, ...] = ()
    """For each tensor argument its node, or None for a constant."""

    operator: str = ""
    """Name of the operator or of the outlined function; empty for inputs and outputs."""

    operator_class: OperatorClass | None = None
    """None for inputs and outputs; a cascade has its last operator's."""

    known_signature: Signature | None = None
    """Of one of the project's operators, otherwise None."""

    call: Any = None
    """The Relax expression that computes the node; None for inputs and outputs."""

    origin: Origin | None = None
    """The layer of the model file, or None if that is not known."""

    inner: StraightLine | None = None
    """What the outlined function of a cascade computes, otherwise None."""

    in_place: str | None = None
    """The operand whose buffer a cascade's result takes, otherwise None."""

    @property
    def spec(self) -> TensorSpec:
        """Shape and type.  Raises ``ValueError`` for a tuple."""
        if self.known_spec is None:
            raise ValueError(f"{self.operator} gives a tuple, which has no shape")
        return self.known_spec

    @property
    def signature(self) -> Signature:
        """Raises ``ValueError`` if this is none of the project's operators."""
        if self.known_signature is None:
            raise ValueError(f"{self.operator or self.kind} has no signature")
        return self.known_signature

    @property
    def implementation(self) -> Operator:
        """Raises ``ValueError`` if this is none of the project's operators."""
        return implementation(self.signature)

    @property
    def computed_operands(self) -> tuple[str, ...]:
        """The operands that are no constants."""
        return tuple(operand for operand in self.operands if operand is not None)

    @property
    def is_reshape(self) -> bool:
        """True for a reshape, which costs no memory."""
        return self.operator == "dero.reshape"

    @property
    def is_concat_in_place(self) -> bool:
        """True for a concatenation whose operands are slices of its buffer."""
        return self.operator == "dero.concat" and bool(self.signature["in_place"])

    @property
    def is_elementwise_join(self) -> bool:
        """True for an addition, multiplication and the like of two different computed tensors.

        Not for a choice among two by a third, nor for comparisons, which make truth values.
        """
        joins = self._joins(OperatorClass.ELEMENTWISE) and len(self.operands) == 2
        return joins and self.spec.dtype != "bool"

    @property
    def is_concat_join(self) -> bool:
        """True for a concatenation of at least two different computed tensors."""
        return self._joins(OperatorClass.CONCAT)

    @property
    def is_join(self) -> bool:
        """True for concatenations and element-by-element operators of several computed tensors."""
        return self.is_elementwise_join or self.is_concat_join

    def _joins(self, kind: OperatorClass) -> bool:
        different = set(self.operands) - {None}
        return self.kind == "operator" and self.operator_class is kind and len(different) > 1


class OperatorGraph(Mapping[str, Node]):
    """Nodes by name, in written order; `digraph` has the names and edges for networkx."""

    def __init__(self, nodes: Mapping[str, Node]) -> None:
        self._nodes = dict(nodes)
        self.digraph = nx.DiGraph()
        self.digraph.add_nodes_from(nodes)
        for name, node in nodes.items():
            self.digraph.add_edges_from((operand, name) for operand in node.computed_operands)

    def __getitem__(self, name: str) -> Node:
        return self._nodes[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._nodes)

    def __len__(self) -> int:
        return len(self._nodes)

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """The network's inputs."""
        return tuple(name for name, node in self.items() if node.kind == "input")

    @cached_property
    def outputs(self) -> tuple[str, ...]:
        """The tensors that the network returns."""
        results = (node for node in self.values() if node.kind == "output")
        return tuple(name for node in results for name in node.computed_operands)

    def operators_in_order(self) -> list[str]:
        """The nodes that compute something, in written order."""
        return [name for name, node in self.items() if node.kind in ("operator", "cascade")]

    def readers(self, name: str) -> list[str]:
        """The operators (and outputs) that read a tensor, in written order."""
        found = list(self.digraph.successors(name))
        if len(found) > 1:
            found.sort(key=lambda n: (self._nodes[n].index, n))
        return found

    def arguments(self, name: str, reader: str) -> tuple[int, ...]:
        """As which of its arguments `reader` reads a tensor."""
        return tuple(i for i, operand in enumerate(self[reader].operands) if operand == name)

    def change_signature(self, name: str, signature: Signature) -> None:
        """Give an operator another signature, as if it had been read with it.

        What was found out of the graph and kept in ``digraph.graph`` goes.
        """
        self._nodes[name] = replace(self._nodes[name], known_signature=signature)
        self.digraph.graph.clear()


def operator_graph(mod: tvm.IRModule, *, flatten: bool = False) -> OperatorGraph:
    """The graph of ``main``, whose names must be unique (see `straight_line.unique_names`).

    With `flatten`, outlined functions are replaced by the operators in them.

    Raises ``ValueError`` for names that are not unique and for tensors without a static shape.
    """
    if flatten:
        mod = inlined(mod)
    return graph_of(mod, read_function(mod))


def graph_of(
    mod: tvm.IRModule, line: StraightLine, known: OperatorGraph | None = None
) -> OperatorGraph:
    """The graph of a line that is, or will be, the ``main`` of `mod`.

    `known` is the graph of what the line was before: bindings that it still has need not be read
    again.
    """
    nodes: dict[str, Node] = {}

    def add(name: str, node: Node) -> None:
        if name in nodes:
            raise ValueError(f"two tensors of main are called {name!r}; names have to be unique")
        nodes[name] = node

    for parameter in line.parameters:
        spec = spec_of(parameter.ty)
        add(parameter.name, Node("input", -1, spec, spec.bytes))
    for index, (var, value) in enumerate(line.bindings):
        name = var.name
        if known is not None and name in known and known[name].call is value:
            node = known[name]
        else:
            node = replace(_describe(mod, value), call=value, origin=origin_of(var))
        add(name, node if node.index == index else replace(node, index=index))
    for position, leaf in enumerate(line.results):
        spec = spec_of(leaf.ty)
        node = Node("output", len(line.bindings), spec, spec.bytes, (_name(leaf),))
        add(f"return[{position}]", node)
    return OperatorGraph(nodes)


def cascade_of(mod: tvm.IRModule, value: relax.Expr) -> relax.Function | None:
    """The outlined function that `value` calls, if it is such a call."""
    if not isinstance(value, Call) or not isinstance(value.op, GlobalVar):
        return None
    function = mod[value.op]
    return None if attribute(function, CASCADE) is None else function


def _describe(mod: tvm.IRModule, value: relax.Expr) -> Node:
    """What a bound expression says of its node, whose place in the order is not known yet."""
    spec, size = _result(value.ty)
    arguments: list[relax.Expr] = []
    if isinstance(value, relax.TupleGetItem):
        arguments = [value.tuple_value]
    elif isinstance(value, Call):
        arguments = value.args[:]
    operands = tuple(_name(leaf) for argument in arguments for leaf in leaves(argument))
    opaque = OperatorClass.OPAQUE
    node = Node("operator", 0, spec, size, operands, type(value).__name__, opaque)
    if not isinstance(value, Call):
        return node
    operator = operator_of(value)
    if operator is not None:
        signature = signature_of(value)
        kind = operator.operator_class(signature)
        return replace(node, operator=value.op.name, operator_class=kind, known_signature=signature)
    function = cascade_of(mod, value)
    if function is not None:
        return _describe_cascade(mod, value, function, node)
    return replace(node, operator=value.op.name if isinstance(value.op, Op) else str(value.op))


def _describe_cascade(mod: tvm.IRModule, call: Call, function: relax.Function, node: Node) -> Node:
    line = read_function(mod, call.op)
    in_place = attribute(function, IN_PLACE)
    return replace(
        node,
        kind="cascade",
        operator=call.op.name_hint,
        operator_class=_describe(mod, line.bindings[-1][1]).operator_class,
        inner=line,
        in_place=None if in_place is None else _name(call.args[int(in_place)]),
    )


def _name(leaf: relax.Expr) -> str | None:
    return leaf.name if isinstance(leaf, relax.Var) else None


def _result(ty: tvm.ir.Type) -> tuple[TensorSpec | None, int]:
    """Shape and bytes of a value; a tuple has no shape and the bytes of all its tensors."""
    if isinstance(ty, relax.TensorType):
        spec = spec_of(ty)
        return spec, spec.bytes
    if isinstance(ty, relax.TupleType):
        return None, sum(_result(field)[1] for field in ty.fields)
    return None, 0
