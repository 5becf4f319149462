r"""Which joins a reorganization removes, which stay and why, and what is left to read each tensor.

A join goes if it is a residual addition or concatenation around convolutions.  These stay:

* parallel branches, which have no shortcut;
* products and differences.  What a product's image is multiplied with is a **gate** (squeeze and
  excitation), ``x * gate(x)``; a gate is no block operator, so nothing inside it is reorganized;
* an addition around no convolution, or to something of another shape;
* joins with a part of a tensor's channels, or what is computed from one (ShuffleNet V2, Res2Net,
  YOLO's C2f): such parts are branches side by side, and none goes around another;
* a concatenation around poolings alone (a pyramid), or around depthwise convolutions alone: there
  one layer gives half of its channels cheaply (a ghost module), and none goes around another.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import networkx as nx

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


def judge(graph: nx.DiGraph, residuals: Sequence[Residual]) -> Verdicts:
    """The verdicts on all joins of a network."""
    gates = frozenset().union(*(_gate(graph, residual) for residual in residuals))
    reasons = {r.join: _reason_to_stay(graph, r, gates) for r in residuals}
    removed = {r.join: r for r in residuals if not reasons[r.join]}
    live = nx.DiGraph(graph.edges)
    live.add_nodes_from(graph)
    for join, residual in removed.items():
        live.remove_edges_from((branch.operand, join) for branch in residual.shortcuts)
    outputs = [node for node, data in graph.nodes(data=True) if data["kind"] == "output"]
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


def _gate(graph: nx.DiGraph, residual: Residual) -> set[str]:
    """What only the gates of a product need."""
    if residual.operator != "dero.multiply":
        return set()
    if residual.shortcut == IDENTITY:
        return around_shortcut(residual)
    squashed = [b.operand for b in residual.branches if _is_squashed(graph, b.operand)]
    images = [b.operand for b in residual.branches if b.operand not in squashed]
    return around_shortcut(residual, images) if squashed and images else set()


def _convolution(graph: nx.DiGraph, name: str) -> OperatorClass | None:
    """The class of a convolution of an image; None for others, and for one of global averages."""
    known: OperatorClass | None = graph.nodes[name]["operator_class"]
    if known not in CONVOLUTIONS or graph.nodes[name]["operator"] != "dero.conv2d":
        return None
    above = graph.nodes[name]
    while above["operator"] in _ONE_BY_ONE and above["spec"].shape[1:3] == (1, 1):
        (source, *_) = above["operands"]
        if source is None:
            break
        above = graph.nodes[source]
        if above["operator"] == "dero.reduce" or averages_all(graph, source):
            return None
    return known


def averages_all(graph: nx.DiGraph, name: str) -> bool:
    """Whether an operator is a pooling that stands for a mean over all pixels.

    One before a convolution over several pixels is not, though the image be as small as its window.
    """
    data = graph.nodes[name]
    if data["operator"] != "dero.pool2d" or data["signature"]["kind"] != "average":
        return False
    signature = data["signature"]
    if signature["pool_size"] != signature.inputs[0].shape[1:3] or any(signature["padding"]):
        return False
    after = (graph.nodes[node]["operator_class"] for node in nx.descendants(graph, name))
    return not any(kind in (OperatorClass.SPATIAL, OperatorClass.DEPTHWISE) for kind in after)


def _is_part(data: dict) -> bool:
    return data["operator"] == "dero.slice" and len(data["spec"].shape) == 4


def _is_squashed(graph: nx.DiGraph, name: str) -> bool:
    """Whether a tensor is a squashed one, perhaps times or plus a constant."""
    data = graph.nodes[name]
    while data["operator"] in ("dero.add", "dero.subtract", "dero.multiply", "dero.divide"):
        computed = [operand for operand in data["operands"] if operand is not None]
        if len(computed) != 1:
            return False
        data = graph.nodes[computed[0]]
    if data["operator"] == "dero.softmax":
        return True
    return data["operator"] == "dero.unary" and data["signature"]["function"] in _SQUASHING


def _reason_to_stay(graph: nx.DiGraph, residual: Residual, gates: frozenset[str]) -> str:
    addition = residual.operator == "dero.add"
    if residual.operator not in ("dero.add", "dero.concat"):
        return _other_join(graph, residual)
    if residual.shortcut == NONE:
        return "its branches are parallel: none is a shortcut"
    around = around_shortcut(residual)
    classes = {c for n in around - gates if (c := _convolution(graph, n)) is not None}
    if any(_is_part(graph.nodes[n]) for branch in residual.shortcuts for n in branch.operators):
        return "its shortcut is, or comes from, a part of a tensor's channels: a branch of its own"
    if around and around <= gates:
        return "it lies inside a gate, which is not reorganized"
    if not classes and addition:
        return "it goes around no convolution, so there is none that its shortcut could be given to"
    if not classes:
        return "a pyramid of poolings: no convolution lies between its operands"
    if classes == {OperatorClass.DEPTHWISE} and not addition:
        return "depthwise convolutions alone lie between its operands: they are halves of one layer"
    shapes = {graph.nodes[name]["spec"].shape for name in _main(residual)}
    if addition and shapes != {graph.nodes[residual.join]["spec"].shape}:
        return "its main branch has another shape than the sum"
    return ""


def _other_join(graph: nx.DiGraph, residual: Residual) -> str:
    if residual.operator == "dero.multiply":
        return "a product is a gate, not a residual join"
    word = {"dero.subtract": "difference", "dero.divide": "quotient"}.get(residual.operator)
    what = f"a {word or residual.operator.removeprefix('dero.')}"
    if any(_is_input(graph, branch.operand) for branch in residual.branches):
        what += " with the network's input"
    return f"{what} is no residual join"


def _is_input(graph: nx.DiGraph, name: str) -> bool:
    """Whether a tensor is an input of the network, if in another layout."""
    data = graph.nodes[name]
    while data["operator"] in ("dero.transpose", "dero.reshape") and None not in data["operands"]:
        data = graph.nodes[data["operands"][0]]
    return data["kind"] == "input"


def _main(residual: Residual) -> list[str]:
    shortcuts = {branch.operand for branch in residual.shortcuts}
    return [b.operand for b in residual.branches if b.operand not in shortcuts]
