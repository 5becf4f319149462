"""ClassifyOperators: what every operator needs of memory, in one word.

Main's attribute ``dero.classes`` maps each variable to the class of its operator: elementwise,
pointwise convolution, depthwise convolution, spatial convolution, pooling, resize, concat,
reduction, layout or opaque (`operators.OperatorClass`).  If ``IdentifyResiduals`` ran before, each
join in ``dero.residuals`` also gets the classes of its ``producers`` (one an operand, ``input``
for a network input) and ``consumers`` (``output`` for a network output); joins that are no longer
there are dropped, those that ``FuseJoins`` fused stay as they were.

Does not rewrite anything.  Cascades are looked through.
"""

from __future__ import annotations

from dataclasses import replace

import tvm

from ..ir.attributes import CLASSES, main_attribute, with_main_attribute
from ..ir.operator_graph import OperatorGraph, operator_graph
from ..ir.straight_line import unique_names
from ..operators.joined import PAIRS
from ..operators.registry import PREFIX
from .residual import Residual, edit_residuals

NAME = "ClassifyOperators"
_Classes = dict[str, list[str]]  # of a join's producers and of its consumers


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

        def classes_around(join: str, operands: tuple[str, ...]) -> _Classes | None:
            # Another pass may have rewritten the network since the residual was found.
            if all(name in graph for name in (join, *operands)):
                return _around(graph, join, operands)
            fused = join in graph and graph[join].operator.removeprefix(PREFIX) in PAIRS.values()
            return {} if fused else None

        return edit_residuals(mod, classes_around)


def with_classes(graph: OperatorGraph, residual: Residual) -> Residual:
    """`residual` with the classes of its producers and consumers."""
    operands = tuple(branch.operand for branch in residual.branches)
    around = _around(graph, residual.join, operands)
    return replace(
        residual, producers=tuple(around["producers"]), consumers=tuple(around["consumers"])
    )


def _around(graph: OperatorGraph, join: str, operands: tuple[str, ...]) -> _Classes:
    return {
        "producers": [_word(graph, operand) for operand in operands],
        "consumers": [_word(graph, node) for node in graph.readers(join)],
    }


def operator_classes(mod: tvm.IRModule) -> dict[str, str]:
    """Variable -> class, as the pass left them in `mod`; empty if it did not run."""
    return {str(name): str(word) for name, word in main_attribute(mod, CLASSES, {}).items()}


def _word(graph: OperatorGraph, node: str) -> str:
    data = graph[node]
    return data.kind if data.operator_class is None else data.operator_class.value
