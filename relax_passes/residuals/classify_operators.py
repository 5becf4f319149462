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

import tvm

from ..ir.attributes import CLASSES, main_attribute, with_main_attribute
from ..ir.operator_graph import OperatorGraph, operator_graph
from ..ir.straight_line import unique_names
from .residual import Residual, read_residuals, write_residuals

NAME = "ClassifyOperators"


@tvm.transform.module_pass(opt_level=0, name=NAME)
class ClassifyOperators:
    """The pass; see the module's docstring."""

    def transform_module(
        self, mod: tvm.IRModule, _context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        """Return `mod` with its operators' classes in main's attributes."""
        mod = unique_names(mod)
        graph = operator_graph(mod, flatten=True)
        classes = {node: _word(graph, node) for node in graph.operators_in_order()}
        mod = with_main_attribute(mod, CLASSES, classes)
        residuals = read_residuals(mod)
        if not residuals:
            return mod
        return write_residuals(
            mod, [with_classes(graph, found) for found in residuals if _is_there(graph, found)]
        )


def with_classes(graph: OperatorGraph, residual: Residual) -> Residual:
    """`residual` with the classes of its producers and consumers."""
    return replace(
        residual,
        producers=tuple(_word(graph, branch.operand) for branch in residual.branches),
        consumers=tuple(_word(graph, node) for node in graph.readers(residual.join)),
    )


def _is_there(graph: OperatorGraph, residual: Residual) -> bool:
    """Another pass may have rewritten the network since the residual was found."""
    return all(name in graph for name in (residual.join, *(b.operand for b in residual.branches)))


def operator_classes(mod: tvm.IRModule) -> dict[str, str]:
    """Variable -> class, as the pass left them in `mod`; empty if it did not run."""
    return {str(name): str(word) for name, word in main_attribute(mod, CLASSES, {}).items()}


def _word(graph: OperatorGraph, node: str) -> str:
    data = graph[node]
    return data.kind if data.operator_class is None else data.operator_class.value
