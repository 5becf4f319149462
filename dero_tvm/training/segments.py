"""A network cut into what its class has as attributes and what its ``forward`` writes out.

A segment is a chain of modules inside one stage: each reads the one before, which nothing else
reads.  Most stages are one segment.  The convolution whose main path and shortcut are pooled apart
is a segment of its own, and so is every node that is an expression (a concatenation, say).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from relax_passes.reorganization import description as net

from .identifiers import Names, identifier
from .layers import MODULES

RESERVED = frozenset({"x", "self", "forward", "torch", "nn", "functional", "Tensor"})
"""Names that segments and tensors cannot have."""


@dataclass(frozen=True)
class Segment:
    """Nodes that ``forward`` computes in one statement.

    `attribute` is "" for an expression; `blocks` has the nodes of each block of the stage.
    """

    attribute: str
    blocks: tuple[tuple[net.AnyNode, ...], ...]

    @property
    def nodes(self) -> tuple[net.AnyNode, ...]:
        """In order of execution."""
        return tuple(node for block in self.blocks for node in block)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The tensors that it reads."""
        return self.nodes[0].inputs

    @property
    def output(self) -> str:
        """The tensor that it computes."""
        return self.nodes[-1].name


@dataclass(frozen=True)
class _Place:
    stage: str
    block: str
    node: net.AnyNode

    def leaf(self) -> str:
        """The last part of the node's path."""
        return self.node.name.rpartition(".")[2]


def segments(architecture: net.Architecture) -> list[Segment]:
    """The segments in order of execution, with attributes that are unique identifiers."""
    readers = Counter(name for node in architecture.nodes for name in node.inputs)
    readers.update(port.name for port in architecture.outputs)
    apart = {n.inputs[0] for n in architecture.nodes if isinstance(n, net.GlobalPool) and n.apart}
    runs: list[list[_Place]] = []
    for stage in architecture.stages:
        begun = len(runs)
        for block in stage.blocks:
            for node in block.nodes:
                place = _Place(stage.name, block.name, node)
                if len(runs) > begun and _continues(runs[-1], node, readers, apart):
                    runs[-1].append(place)
                else:
                    runs.append([place])
    names = Names(set(RESERVED) | {port.name for port in architecture.inputs})
    return [Segment(_attribute(run, runs, apart, names), _by_block(run)) for run in runs]


def _continues(
    run: list[_Place], node: net.AnyNode, readers: Counter[str], apart: set[str]
) -> bool:
    last = run[-1].node
    return (
        isinstance(node, MODULES)
        and isinstance(last, MODULES)
        and node.inputs == (last.name,)
        and readers[last.name] == 1
        and node.name not in apart
        and last.name not in apart
    )


def _attribute(run: list[_Place], runs: list[list[_Place]], apart: set[str], names: Names) -> str:
    first = run[0]
    if not isinstance(first.node, MODULES):
        return ""
    if run is runs[-1] and all(isinstance(place.node, (net.Dense, net.Activate)) for place in run):
        return names.new("classifier")
    if first.node.name in apart:
        return names.new("last")
    modules = [r for r in runs if isinstance(r[0].node, MODULES) and r[0].node.name not in apart]
    in_stage = [r for r in modules if r[0].stage == first.stage]
    in_block = [r for r in in_stage if first.block in {place.block for place in r}]
    parts = [first.stage]
    if len(in_stage) > 1:
        parts.append(first.block)
        if len(in_block) > 1:
            parts.append(first.leaf())
    return names.new(identifier("_".join(filter(None, parts)), otherwise="layer"))


def _by_block(run: list[_Place]) -> tuple[tuple[net.AnyNode, ...], ...]:
    blocks: dict[str, list[net.AnyNode]] = {}
    for place in run:
        blocks.setdefault(place.block, []).append(place.node)
    return tuple(tuple(nodes) for nodes in blocks.values())
