"""ClassifyOperators: what every operator needs of memory, in one word.

Main's attribute ``dero.classes`` maps each variable to the class of its operator: elementwise,
pointwise convolution, depthwise convolution, spatial convolution, pooling, resize, concat,
reduction, layout or opaque (`operators.OperatorClass`).  If ``IdentifyResiduals`` ran before, each
join in ``dero.residuals`` also gets the classes of its ``producers`` (one an operand, ``input``
for a network input) and ``consumers`` (``output`` for a network output); joins that are no longer
there are dropped.

Does not rewrite anything.  Cascades are looked through.
"""

from __future__ import annotations

from dataclasses import replace

import networkx as nx
import tvm

from ..ir.decisions import with_main_attribute
from ..ir.operator_graph import operator_graph, operators_in_order, readers
from ..ir.straight_line import unique_names
from .residual import Residual, edit_residuals

ATTRIBUTE = "dero.classes"
_Classes = dict[str, list[str]]  # of a join's producers and of its consumers


@tvm.transform.module_pass(opt_level=0, name="ClassifyOperators")
class ClassifyOperators:
    """The pass; see the module's docstring."""

    def transform_module(
        self, mod: tvm.IRModule, _context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        """Return `mod` with its operators' classes in main's attributes."""
        mod = unique_names(mod)
        graph = operator_graph(mod, flatten=True)
        classes = {node: _word(graph, node) for node in operators_in_order(graph)}
        mod = with_main_attribute(mod, ATTRIBUTE, classes)

        def classes_around(join: str, operands: tuple[str, ...]) -> _Classes | None:
            # Another pass may have rewritten the network since the residual was found.
            there = all(name in graph for name in (join, *operands))
            return _around(graph, join, operands) if there else None

        return edit_residuals(mod, classes_around)


def with_classes(graph: nx.DiGraph, residual: Residual) -> Residual:
    """`residual` with the classes of its producers and consumers."""
    operands = tuple(branch.operand for branch in residual.branches)
    around = _around(graph, residual.join, operands)
    return replace(
        residual, producers=tuple(around["producers"]), consumers=tuple(around["consumers"])
    )


def _around(graph: nx.DiGraph, join: str, operands: tuple[str, ...]) -> _Classes:
    return {
        "producers": [_word(graph, operand) for operand in operands],
        "consumers": [_word(graph, node) for node in readers(graph, join)],
    }


def operator_classes(mod: tvm.IRModule) -> dict[str, str]:
    """Variable -> class, as the pass left them in `mod`; empty if it did not run."""
    attrs = mod["main"].attrs
    if attrs is None or ATTRIBUTE not in attrs:
        return {}
    return {str(name): str(word) for name, word in attrs[ATTRIBUTE].items()}


def _word(graph: nx.DiGraph, node: str) -> str:
    data = graph.nodes[node]
    return data["kind"] if data["operator_class"] is None else data["operator_class"].value
