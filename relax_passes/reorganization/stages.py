"""Order in a list of nodes: blocks, stages, and names that tell where a node stands.

A **block** is what stood between a fork and its join, or a run of nodes between two such pieces; a
run ends after the convolution that reads the image (the stem) and after a convolution without an
activation (the projection of an inverted residual).  Joins across changes of resolution (a U-Net's
or feature pyramid's) make no block.  A **stage** is a run of blocks whose last convolutions have
one resolution.  What no convolution follows is the **head**.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import networkx as nx

from . import description as net

_WORDS = {
    net.Convolution: "conv",
    net.Pool: "pool",
    net.GlobalPool: "pool",
    net.Upsample: "upsample",
    net.Concat: "concat",
    net.Slice: "part",
    net.Shuffle: "shuffle",
    net.Flatten: "flatten",
    net.Dense: "dense",
    net.Activate: "activation",
}


def arrange(
    nodes: Sequence[net.AnyNode], regions: Iterable[set[str]], inputs: Mapping[str, tuple[int, ...]]
) -> tuple[tuple[net.Stage, ...], dict[str, str]]:
    """`nodes` in stages, and for each old name the new one.

    `regions` are sets of names of nodes that stood between a fork and its join, `inputs` the
    shapes of the network's inputs.
    """
    regions = list(regions)
    head = _head(nodes, set().union(*regions))
    trunk = [node for node in nodes if node.name not in head]
    blocks = _blocks(trunk, regions, set(inputs))
    shapes = dict(inputs) | {node.name: node.shape for node in nodes}
    pieces: list[tuple[str, list[list[net.AnyNode]]]] = []
    resolution: tuple[int, ...] | None = None
    for index, block in enumerate(blocks):
        if index == 0 and len(block) == 1 and set(block[0].inputs) <= set(inputs):
            pieces.append(("stem", [block]))
            continue
        now = _resolution(block, shapes) or resolution
        if now == resolution and pieces and pieces[-1][0] != "stem":
            pieces[-1][1].append(block)
        else:
            number = sum(name != "stem" for name, _ in pieces) + 1
            pieces.append((f"stage{number}", [block]))
        resolution = now
    if head:
        pieces.append(("head", [[node for node in nodes if node.name in head]]))
    return _named(pieces)


def convolved(node: net.Convolution, shape: tuple[int, ...]) -> tuple[int, int]:
    """Height and width of a convolution's own result, before its pooling, from its input's."""
    window = node.window
    (top, left, bottom, right), lengths = window.padding, shape[:2]
    height, width = (
        (length + pad - dilation * (kernel - 1) - 1) // stride + 1
        for length, pad, kernel, stride, dilation in zip(
            lengths, (top + bottom, left + right), window.kernel, window.strides, window.dilation
        )
    )
    return height, width


def _head(nodes: Sequence[net.AnyNode], joined: set[str]) -> set[str]:
    """What no convolution follows, but for convolutions of a block or before a dense layer."""
    graph = nx.DiGraph((source, node.name) for node in nodes for source in node.inputs)
    graph.add_nodes_from(node.name for node in nodes)
    kinds = {n.name: type(n) for n in nodes if not getattr(n, "in_gate", False)}
    head = set()
    for node in nodes:
        after = {kinds.get(name) for name in nx.descendants(graph, node.name)}
        trunk = isinstance(node, net.Convolution) and (net.Dense in after or node.name in joined)
        if net.Convolution not in after and not trunk:
            head.add(node.name)
    trunk_nodes = [node.name for node in nodes if node.name not in head]
    return head.difference(*(nx.ancestors(graph, name) for name in trunk_nodes))


def _blocks(
    trunk: list[net.AnyNode], regions: list[set[str]], inputs: set[str]
) -> list[list[net.AnyNode]]:
    region_of = _merged(trunk, regions)
    blocks: list[list[net.AnyNode]] = []
    previous: int | None = None
    ended = True
    for position, node in enumerate(trunk):
        region = region_of.get(position)
        if ended or region != previous:
            blocks.append([])
        blocks[-1].append(node)
        linear = isinstance(node, net.Convolution) and node.activation is None
        ended = region is None and (linear or bool(set(node.inputs) & inputs))
        previous = region
    return blocks


def _merged(trunk: list[net.AnyNode], regions: list[set[str]]) -> dict[int, int]:
    """For each position inside a region the number of that region; overlapping ones are one."""
    position = {node.name: index for index, node in enumerate(trunk)}
    spans = []
    for region in regions:
        places = sorted(position[name] for name in region if name in position)
        if places:
            inside = trunk[places[0] : places[-1] + 1]
            images = [n for n in inside if not isinstance(n, net.KeptOperator) or not n.literal]
            heights = {node.shape[0] for node in images if len(node.shape) == 3}
            if len(heights) <= 2 and not any(isinstance(node, net.Upsample) for node in inside):
                spans.append((places[0], _closed(trunk, places[-1])))
    found: dict[int, int] = {}
    number, reached = -1, -1
    for first, last in sorted(spans):
        if first > reached:
            number += 1
        reached = max(reached, last)
        found |= dict.fromkeys(range(first, last + 1), number)
    return found


def _closed(trunk: list[net.AnyNode], last: int) -> int:
    """A block that ends in a concatenation has the pointwise convolution after it, too."""
    if last + 1 < len(trunk) and isinstance(trunk[last], net.Concat):
        node = trunk[last + 1]
        if isinstance(node, net.Convolution) and node.window.kernel == (1, 1):
            return last + 1
    return last


def _resolution(
    block: list[net.AnyNode], shapes: Mapping[str, tuple[int, ...]]
) -> tuple[int, ...] | None:
    convolutions = [node for node in block if isinstance(node, net.Convolution)]
    if not convolutions:
        return None
    last = convolutions[-1]
    return convolved(last, shapes[last.inputs[0]])


def _named(
    pieces: list[tuple[str, list[list[net.AnyNode]]]],
) -> tuple[tuple[net.Stage, ...], dict[str, str]]:
    names: dict[str, str] = {}
    stages = []
    for stage, blocks in pieces:
        made = []
        for number, block in enumerate(blocks, 1):
            label = "" if stage in ("stem", "head") else f"block{number}"
            words = [_word(node) for node in block]
            seen: Counter[str] = Counter()
            for node, word in zip(block, words):
                seen[word] += 1
                numbered = word == "conv" or words.count(word) > 1
                path = (stage, label, f"{word}{seen[word]}" if numbered else word)
                names[node.name] = ".".join(part for part in path if part)
            made.append(net.Block(label, tuple(_renamed(node, names) for node in block)))
        stages.append(net.Stage(stage, tuple(made)))
    return tuple(stages), names


def _word(node: net.AnyNode) -> str:
    if isinstance(node, net.KeptOperator):
        return node.operator
    return node.function if isinstance(node, net.Elementwise) else _WORDS[type(node)]


def _renamed(node: net.AnyNode, names: Mapping[str, str]) -> net.AnyNode:
    inputs = tuple(names.get(name, name) for name in node.inputs)
    return replace(node, name=names[node.name], inputs=inputs)
