"""The operator graph that the analyses share.

Nodes are the tensors of ``main`` under the names of their variables, each together with the
operator that computes it; edges lead from a tensor to the operators that read it.  Network inputs
are nodes as well, and result ``i`` of the network is a node ``return[i]`` that reads one tensor.

Node attributes:

==================  ==============================================================================
``kind``            ``input``, ``operator``, ``cascade`` (a call of an outlined function) or
                    ``output``
``operator``        name of the operator or of the outlined function
``call``            the Relax expression that computes the node (None for inputs and outputs)
``implementation``  the `Operator` if it is one of the project's, otherwise None
``signature``       `Signature` of one of the project's operators, otherwise None
``operator_class``  `OperatorClass` (None for inputs and outputs); a cascade has its last
                    operator's
``spec``            `TensorSpec`, or None where an opaque operator returns a tuple
``bytes``           bytes of the tensor
``macs``            multiply-accumulates of the operator
``index``           position in the written order; -1 for inputs, the number of bindings for outputs
``origin``          `Origin`, the layer of the model file, or None if that is not known
``operands``        for each tensor argument its node, or None for a constant
``function``        the outlined function of a cascade, otherwise None
``inner``           the `StraightLine` of that function, otherwise None
``in_place``        the operand whose buffer a cascade's result takes, otherwise None
==================  ==============================================================================
"""

from __future__ import annotations

from typing import Any

import networkx as nx
import tvm
from tvm import relax
from tvm.ir import Call, GlobalVar, Op

from ..operators import OperatorClass, TensorSpec, operator_of, signature_of, spec_of
from .inline import inlined
from .origins import origin_of
from .straight_line import StraightLine, leaves, read_function

CASCADE = "dero.cascade"
IN_PLACE = "dero.in_place"


def operator_graph(mod: tvm.IRModule, *, flatten: bool = False) -> nx.DiGraph:
    """The graph of ``main``, whose names must be unique (see `straight_line.unique_names`).

    With `flatten`, outlined functions are replaced by the operators in them.  The graph's own
    attributes ``inputs`` and ``outputs`` list the network's inputs and the tensors it returns.

    Raises ``ValueError`` for names that are not unique and for tensors without a static shape.
    """
    if flatten:
        mod = inlined(mod)
    return graph_of(mod, read_function(mod))


def graph_of(mod: tvm.IRModule, line: StraightLine, known: nx.DiGraph | None = None) -> nx.DiGraph:
    """The graph of a line that is, or will be, the ``main`` of `mod`.

    `known` is the graph of what the line was before: bindings that it still has need not be read
    again.
    """
    graph = nx.DiGraph()
    for parameter in line.parameters:
        spec = spec_of(parameter.ty)
        _add(graph, parameter.name, kind="input", spec=spec, bytes=spec.bytes, index=-1)
    for index, (var, value) in enumerate(line.bindings):
        name = var.name
        if known is not None and name in known and known.nodes[name]["call"] is value:
            given = known.nodes[name]
        else:
            given = _describe(mod, value) | {"call": value, "origin": origin_of(var)}
        _add(graph, name, **given | {"index": index})
    for position, leaf in enumerate(line.results):
        operand = leaf.name if isinstance(leaf, relax.Var) else None
        spec = spec_of(leaf.ty)
        _add(
            graph,
            f"return[{position}]",
            kind="output",
            spec=spec,
            bytes=spec.bytes,
            index=len(line.bindings),
            operands=(operand,),
        )
    for node, data in list(graph.nodes(data=True)):
        for argument, operand in enumerate(data["operands"]):
            if operand is not None:
                if not graph.has_edge(operand, node):
                    graph.add_edge(operand, node, arguments=())
                graph.edges[operand, node]["arguments"] += (argument,)
    graph.graph["inputs"] = tuple(parameter.name for parameter in line.parameters)
    graph.graph["outputs"] = tuple(v.name for v in line.results if isinstance(v, relax.Var))
    return graph


def operators_in_order(graph: nx.DiGraph) -> list[str]:
    """The nodes that compute something, in written order."""
    nodes = [n for n, data in graph.nodes(data=True) if data["kind"] in ("operator", "cascade")]
    return sorted(nodes, key=lambda n: graph.nodes[n]["index"])


def readers(graph: nx.DiGraph, node: str) -> list[str]:
    """The operators (and outputs) that read a tensor, in written order."""
    return sorted(graph.successors(node), key=lambda n: (graph.nodes[n]["index"], n))


def is_join(graph: nx.DiGraph, node: str) -> bool:
    """True for concatenations and element-by-element operators of several computed tensors."""
    return is_elementwise_join(graph, node) or is_concat_join(graph, node)


def is_elementwise_join(graph: nx.DiGraph, node: str) -> bool:
    """True for an addition, multiplication and the like of two different computed tensors."""
    data = graph.nodes[node]
    return (
        data["kind"] == "operator"
        and data["operator_class"] is OperatorClass.ELEMENTWISE
        and len(set(data["operands"]) - {None}) > 1
    )


def is_concat_join(graph: nx.DiGraph, node: str) -> bool:
    """True for a concatenation of at least two different computed tensors."""
    data = graph.nodes[node]
    return (
        data["kind"] == "operator"
        and data["operator_class"] is OperatorClass.CONCAT
        and len(set(data["operands"]) - {None}) > 1
    )


def cascade_of(mod: tvm.IRModule, value: relax.Expr) -> relax.Function | None:
    """The outlined function that `value` calls, if it is such a call."""
    if not isinstance(value, Call) or not isinstance(value.op, GlobalVar):
        return None
    function = mod[value.op]
    if function.attrs is None or CASCADE not in function.attrs:
        return None
    return function


def _add(graph: nx.DiGraph, name: str, **given: Any) -> None:
    if name in graph:
        raise ValueError(f"two tensors of main are called {name!r}; names have to be unique")
    defaults: dict[str, Any] = {
        "operator": None,
        "call": None,
        "implementation": None,
        "signature": None,
        "operator_class": None,
        "macs": 0,
        "operands": (),
        "origin": None,
        "function": None,
        "inner": None,
        "in_place": None,
    }
    graph.add_node(name, **(defaults | given))


def _describe(mod: tvm.IRModule, value: relax.Expr) -> dict[str, Any]:
    """What a bound expression says of its node."""
    spec, size = _result(value.ty)
    given: dict[str, Any] = {
        "kind": "operator",
        "operator": type(value).__name__,
        "operator_class": OperatorClass.OPAQUE,
        "spec": spec,
        "bytes": size,
    }
    if isinstance(value, relax.TupleGetItem):
        given["operands"] = tuple(_name(leaf) for leaf in leaves(value.tuple_value))
    if not isinstance(value, Call):
        return given
    given["operands"] = tuple(_name(leaf) for arg in value.args for leaf in leaves(arg))
    operator = operator_of(value)
    if operator is not None:
        signature = signature_of(value)
        given |= {
            "operator": value.op.name,
            "implementation": operator,
            "signature": signature,
            "operator_class": operator.operator_class(signature),
            "macs": operator.macs(signature),
        }
        return given
    given["operator"] = value.op.name if isinstance(value.op, Op) else str(value.op)
    function = cascade_of(mod, value)
    if function is not None:
        given |= _describe_cascade(mod, value, function)
    return given


def _describe_cascade(mod: tvm.IRModule, call: Call, function: relax.Function) -> dict[str, Any]:
    line = read_function(mod, call.op)
    inner = [_describe(mod, value) for _, value in line.bindings]
    given: dict[str, Any] = {
        "kind": "cascade",
        "operator": call.op.name_hint,
        "operator_class": inner[-1]["operator_class"],
        "macs": sum(data["macs"] for data in inner),
        "function": function,
        "inner": line,
    }
    if IN_PLACE in function.attrs:
        given["in_place"] = _name(call.args[int(function.attrs[IN_PLACE])])
    return given


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
