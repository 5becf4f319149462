"""Random float32 networks in ONNX.

    random_graph(7)        the network of seed 7: always the same, with the same weights

Blocks as they are in published networks (residuals with and without projection, inception,
gates, detours through half the resolution, dense blocks, shuffles, heads) among single operators
with any attributes, on images of all kinds: of one pixel, of one row, of one column, signals,
vectors, several of them at once.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import onnx

from tests.campaigns.random_onnx import elementwise, layers, moves, windows
from tests.campaigns.random_onnx.graph import Graph, Unfit

OPSETS = (11, 13, 13, 18, 18, 20)
OLDEST = 9  # the last operator set with Upsample
_SIZES = (1, 2, 4, 5, 7, 8, 11)


def random_graph(seed: int, least_opset: int = 0) -> tuple[onnx.ModelProto, Graph]:
    """A model of one to three inputs and one or more outputs, and the graph it was made of."""
    chance = random.Random(seed)
    opset = OLDEST if chance.random() < 0.08 else chance.choice(OPSETS)
    graph = Graph(seed, max(opset, least_opset))
    _inputs(graph)
    wanted, tries = chance.randint(2, 7), 0
    while wanted and tries < 60:
        tries += 1
        block = chance.choice(_BLOCKS)
        wanted -= graph.attempt(lambda block=block: block(graph))
    if not graph.nodes:
        graph.emit("Relu", graph.inputs[0])
    return graph.model(_outputs(graph)), graph


def _inputs(g: Graph) -> None:
    batch = 2 if g.chance(0.1) else 1
    channels = g.random.choice((1, 2, 3, 4, 6))
    kind = g.random.random()
    if kind < 0.7:
        shape = (batch, channels, g.random.choice(_SIZES), g.random.choice(_SIZES))
    elif kind < 0.8:
        shape = (batch, channels, *g.random.choice(((1, 1), (1, 19), (23, 1), (40, 5))))
    elif kind < 0.9:
        shape = (batch, channels, g.random.choice((1, 9, 20)))
    elif kind < 0.95:
        shape = (batch, 2, 3, 4, g.random.choice((1, 5)))
    else:
        shape = (batch, g.random.choice((1, 8, 12)))
    g.input(shape)
    others = [shape, shape, (batch, *(1 for _ in shape[1:]))]
    others.append((*shape[:2], *(1 for _ in shape[2:])))
    for _ in range(g.random.choice((0, 0, 0, 1, 2))):
        g.input(g.random.choice(others))


def _outputs(g: Graph) -> list[str]:
    """Everything that nobody reads; sometimes an inner tensor, or the same one several times."""
    read = {name for node in g.nodes for name in node.input}
    unread = [t for t in g.tensors if t not in read and t not in g.inputs]
    if g.chance(0.2):
        unread.append(g.random.choice([t for t in g.tensors if t not in g.inputs]))
    if g.chance(0.1):
        source = g.random.choice(g.tensors)
        unread += [g.emit("Identity", source) for _ in range(2)]
    return list(dict.fromkeys(unread))


# --- blocks ----------------------------------------------------------------------------------


def _single(g: Graph) -> None:
    operators = (
        *(layers.convolution, layers.convolution, layers.convolution, layers.dense),
        *(layers.transposed_convolution, layers.normalisation, layers.product),
        *(windows.pool, windows.pool, windows.global_pool, windows.resize, windows.resize),
        *(elementwise.activation, elementwise.activation, elementwise.join, elementwise.join),
        *(elementwise.concatenation, moves.move, moves.move, moves.reduction, moves.reduction),
    )
    g.random.choice(operators)(g, g.pick())


def _same(g: Graph, x: str) -> str:
    """An operator that keeps the shape."""
    operators = [elementwise.activation, layers.normalisation, windows.same_pool, moves.shuffle]
    y = g.random.choice([layers.same_convolution] * 4 + operators)(g, x)
    if g.shape(y) != g.shape(x):
        raise Unfit("another shape")
    return y


def _residual(g: Graph) -> None:
    """Branches of a few operators, or none, joined by addition or another operator."""
    x = g.pick(lambda t: g.rank(t) > 2)
    branches = [x]
    for _ in range(g.random.choice((1, 1, 2, 4))):
        y = x if g.chance(0.7) else branches[-1]
        for _ in range(g.random.randint(1, 3)):
            y = _same(g, y)
        branches.append(y)
    g.random.shuffle(branches)
    if len(branches) > 2 and g.chance(0.6):
        y = g.emit(g.random.choice(("Sum", "Mean", "Max", "Min")), *branches)
    else:
        y, *rest = branches
        for branch in rest:
            y = g.emit(g.random.choice(("Add", "Add", "Add", "Sub", "Mul")), y, branch)
    if g.chance(0.5):
        elementwise.activation(g, y)


def _projection(g: Graph) -> None:
    """A residual to fewer pixels and more channels."""
    x = g.pick(lambda t: g.rank(t) == 4)
    filters, stride = g.shape(x)[1] * g.random.choice((1, 2)), g.random.choice((2, 2, 3))
    kernel = g.random.choice((1, 3))
    weight = g.weights((filters, g.shape(x)[1], kernel, kernel))
    y = g.emit("Conv", x, weight, pads=[kernel // 2] * 4, strides=[stride] * 2)
    y = _same(g, elementwise.activation(g, y))
    if g.chance(0.6):
        z = layers.pointwise(g, x, filters, stride)
    else:
        kind = g.random.choice(("AveragePool", "MaxPool"))
        size = {"kernel_shape": [stride] * 2, "strides": [stride] * 2, "ceil_mode": 1}
        z = layers.pointwise(g, g.emit(kind, x, **size if g.opset >= 10 else {}), filters)
    g.emit("Add", *g.random.sample((y, z), 2))


def _gate(g: Graph) -> None:
    """Squeeze and excitation, by convolutions or by matrices."""
    x = g.pick(lambda t: g.rank(t) == 4)
    channels = g.shape(x)[1]
    if g.chance(0.6):
        pooled = g.emit("GlobalAveragePool", x)
        if g.chance(0.3):
            pooled = moves.reduction(g, x, (2, 3), True)
        y = g.emit("Relu", layers.pointwise(g, pooled, max(1, channels // 2)))
        y = layers.pointwise(g, y, channels)
    else:
        y = moves.reduction(g, x, (2, 3), False)
        y = g.emit("MatMul", y, g.weights((channels, channels)))
        y = g.emit("Reshape", y, g.integers(g.shape(x)[0], channels, 1, 1))
    y = g.emit(g.random.choice(("Sigmoid", "HardSigmoid")), y)
    g.emit("Mul", *g.random.sample((x, y), 2))


def _inception(g: Graph) -> None:
    """Branches side by side."""
    x = g.pick(lambda t: g.rank(t) == 4)
    branches = [layers.pointwise(g, x, 2), _same(g, x), windows.same_pool(g, x)]
    branches += [branches[g.random.randrange(3)] for _ in range(g.random.randrange(3))]
    g.random.shuffle(branches)
    g.emit("Concat", *branches, axis=1)


def _dense(g: Graph) -> None:
    """Every result is concatenated with what it was made of."""
    x = g.pick(lambda t: g.rank(t) == 4)
    for _ in range(g.random.randint(2, 3)):
        x = g.emit("Concat", x, layers.same_convolution(g, x, 2), axis=1)


def _detour(g: Graph) -> None:
    """Down, up again, and joined with where it came from."""
    x = g.pick(lambda t: g.rank(t) == 4)
    n, c, h, w = g.shape(x)
    y = layers.same_convolution(g, windows.pool(g, x))
    if g.opset < 11:
        raise Unfit("no sizes in this operator set")
    size = g.integers(n, g.shape(y)[1], h, w)
    empty = [g.constant([]), g.constant([])] if g.opset < 13 else ["", ""]
    y = g.emit("Resize", y, *empty, size, mode=g.random.choice(("nearest", "linear")))
    if g.chance(0.5) and g.shape(y) == g.shape(x):
        g.emit("Add", x, y)
    else:
        g.emit("Concat", x, y, axis=1)


def _head(g: Graph) -> None:
    """Global pooling or flattening, and layers of matrices."""
    x = g.pick(lambda t: g.rank(t) > 2)
    if g.chance(0.5):
        x = g.emit("Flatten", windows.global_pool(g, x))
    else:
        x = g.emit("Flatten", x)
    for _ in range(g.random.randint(1, 2)):
        x = layers.dense(g, x)
    if g.chance(0.3):
        g.emit("Softmax", x, axis=-1)


_BLOCKS: tuple[Callable[[Graph], None], ...] = (
    *[_single] * 10,
    *[_residual] * 4,
    *(_projection, _projection, _gate, _gate, _inception, _dense, _detour, _head),
)
