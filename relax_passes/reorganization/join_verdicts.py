r"""Which joins a reorganization removes, which stay and why, and what is left to read each tensor.

A join goes if it is a residual addition, difference or concatenation around convolutions.  A
network that predicts what is to be subtracted from its image (a denoiser's noise) is to give the
image itself once the difference is gone.  These stay:

* parallel branches, which have no shortcut;
* products.  What a product's image is multiplied with is a **gate** (squeeze and
  excitation), ``x * gate(x)``; a gate is no block operator, so nothing inside it is reorganized
  but residual blocks on images, where a network makes a mask;
* an addition around no convolution, or to something of another shape;
* joins with a part of a tensor's channels, or what is computed from one (ShuffleNet V2, Res2Net,
  YOLO's C2f): such parts are branches side by side, and none goes around another;
* a concatenation around poolings alone (a pyramid), or around depthwise convolutions alone: there
  one layer gives half of its channels cheaply (a ghost module), and none goes around another.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import networkx as nx

from ..ir.operator_graph import Node, OperatorGraph
from ..operators import OperatorClass
from ..residuals.residual import IDENTITY, NONE, Residual

CONVOLUTIONS = (OperatorClass.POINTWISE, OperatorClass.DEPTHWISE, OperatorClass.SPATIAL)
_ONE_BY_ONE = ("dero.conv2d", "dero.unary", "dero.reshape")
_SQUASHING = ("sigmoid", "hard_sigmoid", "tanh", "softmax")


@dataclass(frozen=True)
class Verdicts:
    """See the fields.

    Attributes
    ----------
    removed
        The joins that go.
    kept
        For each other join the reason why it stays.
    gates
        The operators that gates alone need.
    live
        The graph without the removed joins' shortcuts and what only they needed.
    """

    removed: dict[str, Residual]
    kept: dict[str, str]
    gates: frozenset[str]
    live: nx.DiGraph


def judge(
    graph: OperatorGraph, residuals: Sequence[Residual], stay: Mapping[str, str] | None = None
) -> Verdicts:
    """The verdicts on all joins of a network; those of `stay` stay for the reasons given there."""
    stay = stay or {}
    gates = frozenset().union(*(_gate(graph, residual) for residual in residuals))
    gates -= frozenset().union(*(_block_in(gates, graph, residual) for residual in residuals))
    reasons = {r.join: _reason_to_stay(graph, r, gates) or stay.get(r.join, "") for r in residuals}
    removed = {r.join: r for r in residuals if not reasons[r.join]}
    live = nx.DiGraph(graph.digraph.edges)
    live.add_nodes_from(graph)
    for join, residual in removed.items():
        live.remove_edges_from((branch.operand, join) for branch in residual.shortcuts)
    outputs = [node for node, data in graph.items() if data.kind == "output"]
    needed = set(outputs).union(*(nx.ancestors(live, output) for output in outputs))
    live.remove_nodes_from(set(live) - needed)
    kept = {join: reason for join, reason in reasons.items() if reason}
    return Verdicts(removed, kept, gates, live)


def around_shortcut(residual: Residual, shortcuts: Iterable[str] | None = None) -> set[str]:
    """The operators between a residual's fork and join that no shortcut operand needs."""
    if shortcuts is None:
        shortcuts = {branch.operand for branch in residual.shortcuts}
    paths = {branch.operand: set(branch.operators) for branch in residual.branches}
    needed = set().union(*(paths[operand] for operand in shortcuts))
    return set().union(*paths.values()) - needed


def _gate(graph: OperatorGraph, residual: Residual) -> set[str]:
    """What only the gates of a product need."""
    if residual.operator != "dero.multiply":
        return set()
    if residual.shortcut == IDENTITY:
        return around_shortcut(residual)
    squashed = [b.operand for b in residual.branches if _is_squashed(graph, b.operand)]
    images = [b.operand for b in residual.branches if b.operand not in squashed]
    return around_shortcut(residual, images) if squashed and images else set()


def _block_in(gates: frozenset[str], graph: OperatorGraph, residual: Residual) -> set[str]:
    """What a residual block inside a gate consists of, if it has convolutions of an image."""
    if residual.operator not in ("dero.add", "dero.subtract") or residual.shortcut == NONE:
        return set()
    block = around_shortcut(residual) | {residual.join}
    convolves = any(_convolution(graph, name) is not None for name in block)
    return block if convolves and block <= gates else set()


def _convolution(graph: OperatorGraph, name: str) -> OperatorClass | None:
    """The class of a convolution of an image; None for others, and for one of global averages."""
    known, spec = graph[name].operator_class, graph[name].known_spec
    if graph[name].operator == "dero.dense" and spec is not None and len(spec.shape) > 2:
        return OperatorClass.POINTWISE if max(spec.shape[:-1]) > 1 else None
    if known not in CONVOLUTIONS or graph[name].operator != "dero.conv2d":
        return None
    above = graph[name]
    while above.operator in _ONE_BY_ONE and above.spec.shape[1:3] == (1, 1):
        (source, *_) = above.operands
        if source is None:
            break
        above = graph[source]
        if above.operator == "dero.reduce" or averages_all(graph, source):
            return None
    return known


def averages_all(graph: OperatorGraph, name: str) -> bool:
    """Whether an operator is a pooling that stands for a mean over all pixels.

    One before a convolution over several pixels is not, though the image be as small as its window.
    """
    data = graph[name]
    if data.operator != "dero.pool2d" or data.signature["kind"] != "average":
        return False
    signature = data.signature
    if signature["pool_size"] != signature.inputs[0].shape[1:3] or any(signature["padding"]):
        return False
    after = (graph[node].operator_class for node in nx.descendants(graph.digraph, name))
    return not any(kind in (OperatorClass.SPATIAL, OperatorClass.DEPTHWISE) for kind in after)


def _is_part(data: Node) -> bool:
    return data.operator == "dero.slice" and len(data.spec.shape) == 4


def _is_squashed(graph: OperatorGraph, name: str) -> bool:
    """Whether a tensor is a squashed one, perhaps times or plus a constant."""
    data = graph[name]
    while data.operator in ("dero.add", "dero.subtract", "dero.multiply", "dero.divide"):
        computed = data.computed_operands
        if len(computed) != 1:
            return False
        data = graph[computed[0]]
    if data.operator == "dero.softmax":
        return True
    return data.operator == "dero.unary" and data.signature["function"] in _SQUASHING


def _reason_to_stay(graph: OperatorGraph, residual: Residual, gates: frozenset[str]) -> str:
    addition = residual.operator in ("dero.add", "dero.subtract")
    if residual.operator not in ("dero.add", "dero.concat", "dero.subtract"):
        return _other_join(graph, residual)
    if residual.shortcut == NONE:
        return "its branches are parallel: none is a shortcut"
    around = around_shortcut(residual)
    classes = {c for n in around - gates if (c := _convolution(graph, n)) is not None}
    if any(_is_part(graph[n]) for branch in residual.shortcuts for n in branch.operators):
        return "its shortcut is, or comes from, a part of a tensor's channels: a branch of its own"
    if around and around <= gates:
        return "it lies inside a gate, which is not reorganized"
    if not classes and addition:
        return "it goes around no convolution, so there is none that its shortcut could be given to"
    if not classes:
        return "a pyramid of poolings: no convolution lies between its operands"
    if classes == {OperatorClass.DEPTHWISE} and not addition:
        return "depthwise convolutions alone lie between its operands: they are halves of one layer"
    shapes = {graph[name].spec.shape for name in _main(residual)}
    if addition and shapes != {graph[residual.join].spec.shape}:
        return "its main branch has another shape than the sum"
    return ""


def _other_join(graph: OperatorGraph, residual: Residual) -> str:
    if residual.operator == "dero.multiply":
        return "a product is a gate, not a residual join"
    word = {"dero.subtract": "difference", "dero.divide": "quotient"}.get(residual.operator)
    what = f"a {word or residual.operator.removeprefix('dero.')}"
    if any(_is_input(graph, branch.operand) for branch in residual.branches):
        what += " with the network's input"
    return f"{what} is no residual join"


def _is_input(graph: OperatorGraph, name: str) -> bool:
    """Whether a tensor is an input of the network, if in another layout."""
    data = graph[name]
    while data.operator in ("dero.transpose", "dero.reshape") and data.computed_operands:
        data = graph[data.computed_operands[0]]
    return data.kind == "input"


def _main(residual: Residual) -> list[str]:
    shortcuts = {branch.operand for branch in residual.shortcuts}
    return [b.operand for b in residual.branches if b.operand not in shortcuts]
