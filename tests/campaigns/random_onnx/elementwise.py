"""Activations of every kind, and joins of two or more tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tests.campaigns.random_onnx.graph import Graph, Unfit

_PLAIN = "Relu Sigmoid Tanh Softplus Softsign Erf Abs Neg Sin Floor Identity Selu".split()


def activation(g: Graph, x: str) -> str:
    """A function of each element, written as exporters write it."""
    if g.chance(0.35):
        return g.emit("Relu", x)
    return g.random.choice(_ACTIVATIONS)(g, x)


def _plain(g: Graph, x: str) -> str:
    return g.emit(g.random.choice(_PLAIN), x)


def _recent(g: Graph, x: str) -> str:
    """Operators of later operator sets."""
    names = [("HardSwish", 14), ("Mish", 18), ("Gelu", 20)]
    known = [name for name, opset in names if g.opset >= opset]
    if not known:
        raise Unfit("none in this operator set")
    name = g.random.choice(known)
    form = {"approximate": g.random.choice(("none", "tanh"))} if name == "Gelu" else {}
    return g.emit(name, x, **form)


def _leaky(g: Graph, x: str) -> str:
    return g.emit("LeakyRelu", x, alpha=g.random.choice((0.0, 0.01, 0.3, -0.5, 1.5)))


def _exponential(g: Graph, x: str) -> str:
    return g.emit("Elu", x, alpha=g.random.choice((0.5, 1.0, 2.0)))


def _thresholded(g: Graph, x: str) -> str:
    return g.emit("ThresholdedRelu", x, alpha=g.random.choice((0.5, 1.0)))


def _hard_sigmoid(g: Graph, x: str) -> str:
    forms = ({}, {"alpha": 1 / 6}, {"alpha": 0.3, "beta": 0.1})
    return g.emit("HardSigmoid", x, **g.random.choice(forms))


def _slopes(g: Graph, x: str) -> str:
    """PRelu of a slope for everything, each channel, or each element."""
    shape = g.shape(x)
    shapes = [(1,), shape, shape[1:]]
    if len(shape) > 2:
        shapes += [(shape[1], *[1] * (len(shape) - 2))] * 3
    return g.emit("PRelu", x, g.vector(g.random.choice(shapes), -0.5, 1.5))


def clip(g: Graph, x: str, low: float | None = None, high: float | None = None) -> str:
    """Clip, whose limits became operands."""
    if low is None and high is None:
        low, high = g.random.choice(((0.0, 6.0), (-0.5, 0.7), (None, 0.3), (-0.3, None)))
    if g.opset < 11:
        limits = {"min": low, "max": high}
        return g.emit("Clip", x, **{k: v for k, v in limits.items() if v is not None})
    operands = [x, "" if low is None else g.constant(low)]
    return g.emit("Clip", *operands, *([] if high is None else [g.constant(high)]))


def _gated(g: Graph, x: str) -> str:
    """SiLU and hard swish as products."""
    if g.chance(0.5):
        gate = g.emit("Sigmoid", x)
    else:
        gate = clip(g, g.emit("Add", x, g.constant(3.0)), 0.0, 6.0)
        gate = g.emit("Div", gate, g.constant(6.0))
    return g.emit("Mul", x, gate) if g.chance(0.5) else g.emit("Mul", gate, x)


def _bounded(g: Graph, x: str) -> str:
    """Functions that are defined for some numbers alone."""
    name = g.random.choice(("Exp", "Sqrt", "Log", "Reciprocal"))
    if name == "Exp":
        return g.emit("Exp", clip(g, x, -3.0, 2.0))
    return g.emit(name, g.emit("Add", g.emit("Abs", x), g.constant(0.5)))


def _softmax(g: Graph, x: str) -> str:
    axis = g.random.randrange(-g.rank(x), g.rank(x))
    return g.emit(g.random.choice(("Softmax", "Softmax", "LogSoftmax")), x, axis=axis)


def _selected(g: Graph, x: str) -> str:
    condition = g.emit("Greater", x, g.constant(0.0))
    return g.emit("Where", condition, x, other_operand(g, x))


_ACTIVATIONS: Sequence[Callable[[Graph, str], str]] = (
    *(_plain, _plain, _plain, _recent, _leaky, _exponential, _thresholded, _hard_sigmoid),
    *(_slopes, clip, clip, _gated, _bounded, _softmax, _selected),
)


def other_operand(g: Graph, x: str) -> str:
    """What `x` is joined with: a tensor of its shape, itself, one to broadcast, a constant."""
    shape, kind = g.shape(x), g.random.random()
    if kind < 0.4:
        return g.pick(lambda t: g.shape(t) == shape)
    if kind < 0.6:
        return g.pick(lambda t: _broadcasts(g.shape(t), shape))
    shapes = [(), (1,), shape, shape[1:], shape[-1:], (1,) * len(shape)]
    if len(shape) > 2:
        ones = (1,) * (len(shape) - 2)
        shapes += [(1, shape[1], *ones), (shape[1], *ones), (1, 1, *shape[2:]), (*shape[:2], *ones)]
    return g.vector(g.random.choice(shapes), 0.5, 1.5)


def _broadcasts(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    return len(shape) <= len(to) and all(a in (1, b) for a, b in zip(shape[::-1], to[::-1]))


def join(g: Graph, x: str) -> str:
    """An operator of two tensors, in either order, or of up to six."""
    name = g.random.choice(("Add",) * 4 + ("Sub", "Mul", "Mul", "Div", "Pow", "many", "many"))
    if name == "many":
        operands = [x, *(other_operand(g, x) for _ in range(g.random.randint(1, 5)))]
        g.random.shuffle(operands)
        return g.emit(g.random.choice(("Sum", "Max", "Min", "Mean")), *operands)
    if name == "Pow":
        base = g.emit("Abs", x)
        return g.emit("Pow", base, g.constant(g.random.choice((1.0, 2.0, 3.0, 0.5))))
    if name == "Div":
        below = g.emit("Add", g.emit("Abs", other_operand(g, x)), g.constant(0.5))
        return g.emit("Div", x, below)
    other = other_operand(g, x)
    return g.emit(name, x, other) if g.chance(0.5) else g.emit(name, other, x)


def concatenation(g: Graph, x: str) -> str:
    """Two to six tensors along any axis, a constant among them now and then."""
    shape = g.shape(x)
    axis = g.random.randrange(len(shape))

    def fits(tensor: str) -> bool:
        other = g.shape(tensor)
        return len(other) == len(shape) and all(
            a == b for i, (a, b) in enumerate(zip(other, shape)) if i != axis
        )

    operands = [x, *(g.pick(fits) for _ in range(g.random.choice((1, 1, 2, 5))))]
    if g.chance(0.2):
        operands.append(g.vector(shape))
    g.random.shuffle(operands)
    return g.emit("Concat", *operands, axis=axis - len(shape) * g.chance(0.3))
