"""Nodes of a reorganized network as PyTorch modules: an expression, and where weights belong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dero_tvm.boundary.errors import UserError
from relax_passes.reorganization import description as net

from .activations import activation_class
from .class_definitions import (
    AVERAGE_POOL_SOURCE,
    BRANCHES,
    BRANCHES_SOURCE,
    MATCH_CHANNELS_SOURCE,
    SHUFFLE_CHANNELS_SOURCE,
    SUM_POOL_SOURCE,
    ConvolutionClass,
    convolution_source,
)
from .identifiers import Names, identifier
from .kept_operators import is_trained, read_constants
from .python_text import Call, Expression

MODULES = (net.Convolution, net.Dense, net.Pool, net.Upsample, net.Shuffle, net.Activate)
"""The nodes that are modules; the others are expressions in ``forward``."""


@dataclass(frozen=True)
class Layer:
    """One module.

    `weights` maps keys of its ``state_dict`` to keys of `Reorganization.weights`.
    """

    expression: Expression
    weights: Mapping[str, str] = field(default_factory=dict)


def sequential(layers: Sequence[Layer], *, spread: bool = False) -> Layer:
    """The layers one after another, as one; a single one is itself."""
    if len(layers) == 1:
        return layers[0]
    weights = {
        f"{index}.{key}": value
        for index, layer in enumerate(layers)
        for key, value in layer.weights.items()
    }
    expressions = tuple(layer.expression for layer in layers)
    return Layer(Call("nn.Sequential", expressions, spread=spread), weights)


class Layers:
    """Makes the layers of one network, and knows which classes they need."""

    def __init__(self, architecture: net.Architecture, taken: set[str]) -> None:
        convolutions = [n for n in architecture.nodes if isinstance(n, net.Convolution)]
        self._classes = [
            kind
            for kind in (
                _common_class([c for c in convolutions if _is_ordinary(c)], shortcut=True),
                _common_class([c for c in convolutions if c.shortcut is None], shortcut=False),
            )
            if kind is not None
        ]
        self._sources: dict[str, str] = {}
        self._constants: dict[tuple[str, int], str] = {}
        names = Names(taken)
        for node in architecture.nodes:
            if isinstance(node, net.KeptOperator):
                for place, _ in read_constants(node):
                    wanted = identifier(f"{node.variable}_{place}", otherwise="constant")
                    self._constants[node.name, place] = names.new(wanted)

    def constant(self, node: net.KeptOperator, place: int) -> str:
        """The attribute of the network that has a constant of a kept operator."""
        return self._constants[node.name, place]

    def constants(self, node: net.KeptOperator) -> dict[str, Layer]:
        """The constants of a kept operator as attributes of the network."""
        layers = {}
        for place, shape in read_constants(node):
            zeros = Call("torch.zeros", (", ".join(map(str, shape)) or "()",))
            named = () if is_trained(node, place, shape) else (("requires_grad", "False"),)
            weights = {"": f"{node.name}.constant{place}"}
            layers[self.constant(node, place)] = Layer(
                Call("nn.Parameter", (zeros,), named), weights
            )
        return layers

    @property
    def sources(self) -> list[str]:
        """Of the classes that the layers made so far need, a class after those that it uses."""
        return list(self._sources.values())

    def of(self, node: net.AnyNode) -> list[Layer]:
        """The modules of one of `MODULES`, one after another.

        Raises
        ------
        UserError
            If PyTorch has no module that computes the same.
        """
        if isinstance(node, net.Convolution):
            return [*self._convolution(node), *self._activation(node.final_activation, node)]
        if isinstance(node, net.Dense):
            sizes = (str(node.in_channels), str(node.out_channels))
            linear = Layer(Call("nn.Linear", sizes), _keys(node.name, "weight", "bias"))
            return [linear, *self._activation(node.activation, node)]
        if isinstance(node, net.Pool):
            return self._pool(node, node.pool)
        if isinstance(node, net.Upsample):
            return [Layer(Call("nn.Upsample", (), (("scale_factor", _size(node.factor)),)))]
        if isinstance(node, net.Shuffle):
            self._sources.setdefault("ShuffleChannels", SHUFFLE_CHANNELS_SOURCE)
            return [Layer(Call("ShuffleChannels", (str(node.groups),)))]
        assert isinstance(node, net.Activate)
        return self._activation(node.activation, node)

    def _convolution(self, node: net.Convolution) -> list[Layer]:
        """The convolution up to the addition of its shortcut."""
        for kind in self._classes:
            if _fits(node, kind):
                return self._of_class(node, kind)
        main = self._main(node)
        if node.shortcut is None:
            return main
        self._sources.setdefault(BRANCHES, BRANCHES_SOURCE)
        steps = self._shortcut(node, node.shortcut) or [Layer(Call("nn.Identity"))]
        whole, shortcut = sequential(main), sequential(steps)
        named = (("main", whole.expression), ("shortcut", shortcut.expression))
        weights = {f"main.{key}": value for key, value in whole.weights.items()}
        return [Layer(Call(BRANCHES, (), named), weights)]

    def _of_class(self, node: net.Convolution, kind: ConvolutionClass) -> list[Layer]:
        if kind.shortcut:
            self._sources.setdefault("SumPool2d", SUM_POOL_SOURCE)
            self._sources.setdefault("MatchChannels", MATCH_CHANNELS_SOURCE)
        self.activation_name(kind.activation, node)
        named = _window_arguments(node.window, kind.sides)
        if node.groups != 1:
            named.append(("groups", str(node.groups)))
        if node.activation != kind.activation:
            named.append(("activation", self.activation_name(node.activation, node)))
        self._sources.setdefault(kind.name, convolution_source(kind))
        sizes = (str(node.in_channels), str(node.out_channels), _size(node.window.kernel))
        weights = {f"conv.{key}": value for key, value in _convolution_keys(node).items()}
        if node.norm == "after":
            weights["norm.bias"] = f"{node.name}.shift"
        layer = Layer(Call(kind.name, sizes, tuple(named)), weights)
        return [layer, *([] if node.pool is None else self._pool(node, node.pool))]

    def _main(self, node: net.Convolution) -> list[Layer]:
        """Normalisation, convolution, activation and pooling as modules of their own."""
        sides = not _is_symmetric(node.window)
        named = _window_arguments(node.window, sides)
        if sides:
            named = [(name, value) for name, value in named if name != "padding"]
        if node.groups != 1:
            named.append(("groups", str(node.groups)))
        if not node.bias:
            named.append(("bias", "False"))
        sizes = (str(node.in_channels), str(node.out_channels), _size(node.window.kernel))
        layers = [Layer(Call("nn.Conv2d", sizes, tuple(named)), _convolution_keys(node))]
        if sides:
            layers.insert(0, Layer(Call("nn.ZeroPad2d", (_torch_sides(node.window),))))
        if node.norm == "before":
            layers.insert(0, _norm(node.in_channels))
        if node.norm == "after":
            layers.append(_norm(node.out_channels, {"bias": f"{node.name}.shift"}))
        layers += self._activation(node.activation, node)
        return [*layers, *([] if node.pool is None else self._pool(node, node.pool))]

    def _shortcut(self, node: net.Convolution, shortcut: net.Shortcut) -> list[Layer]:
        layers = []
        for step in shortcut.steps:
            if isinstance(step, net.PoolWindow):
                layers += self._pool(node, step)
            elif isinstance(step, net.MatchChannels):
                self._sources.setdefault("MatchChannels", MATCH_CHANNELS_SOURCE)
                layers.append(Layer(Call("MatchChannels", (str(step.out_channels),))))
            else:
                layers.append(_norm(step.channels))
        return layers

    def _activation(self, activation: net.Activation | None, node: net.Node) -> list[Layer]:
        if activation is None:
            return []
        return [Layer(Call(self.activation_name(activation, node)))]

    def activation_name(self, activation: net.Activation | None, node: net.Node) -> str:
        """The class of an activation of `node`; UserError if PyTorch has no such function."""
        try:
            found = activation_class(activation)
        except UserError as error:
            raise UserError(f"{node.title}: {error}") from None
        if found.source:
            self._sources.setdefault(found.expression, found.source)
        return found.expression

    def _pool(self, node: net.Node, pool: net.PoolWindow) -> list[Layer]:
        window = pool.window
        if window.dilation != (1, 1) and pool.kind != "max":
            raise UserError(
                f"{node.title}: PyTorch has no {pool.kind} pooling with dilation "
                f"{list(window.dilation)}"
            )
        sides = not _is_symmetric(window)
        named = _window_arguments(window, sides)
        # PyTorch's pooling moves on by its kernel unless told otherwise, a convolution by 1.
        named = [("stride", _size(window.strides)), *(n for n in named if n[0] != "stride")]
        layers = []
        if sides:
            named = [(name, value) for name, value in named if name != "padding"]
            outside = _torch_sides(window)
            if pool.kind == "max":
                pad = Call("nn.ConstantPad2d", (outside, 'float("-inf")'))
            elif pool.kind == "sum" or pool.count_include_pad:
                pad = Call("nn.ZeroPad2d", (outside,))
            else:
                self._sources.setdefault("AveragePool2d", AVERAGE_POOL_SOURCE)
                sizes = (_size(window.kernel), _size(window.strides), outside)
                return [Layer(Call("AveragePool2d", sizes))]
            layers.append(Layer(pad))
        elif pool.kind == "average" and not pool.count_include_pad and any(window.padding):
            named.append(("count_include_pad", "False"))
        if pool.kind == "sum":
            self._sources.setdefault("SumPool2d", SUM_POOL_SOURCE)
        names = {"max": "nn.MaxPool2d", "average": "nn.AvgPool2d", "sum": "SumPool2d"}
        return [*layers, Layer(Call(names[pool.kind], (_size(window.kernel),), tuple(named)))]


def _common_class(nodes: Sequence[net.Convolution], *, shortcut: bool) -> ConvolutionClass | None:
    """The class that computes as many of the nodes as one class can; None if there are none."""
    if not nodes:
        return None
    (norm, bias), _ = Counter((node.norm, node.bias) for node in nodes).most_common(1)[0]
    if norm is None and not shortcut:
        return None  # nn.Conv2d itself serves
    nodes = [node for node in nodes if (node.norm, node.bias) == (norm, bias)]
    identities = {bool(n.shortcut.steps) for n in nodes if n.shortcut and _is_identity(n)}
    activations = Counter(node.activation for node in nodes)
    pairs = [(n.window.kernel, n.window.strides, n.window.dilation) for n in nodes]
    return ConvolutionClass(
        shortcut=shortcut,
        norm=norm,
        bias=bias,
        activation=activations.most_common(1)[0][0],
        activations_differ=len(activations) > 1,
        groups=any(node.groups != 1 for node in nodes),
        dilation=any(node.window.dilation != (1, 1) for node in nodes),
        sides=not all(_is_symmetric(node.window) for node in nodes),
        pairs=any(height != width for window in pairs for height, width in window),
        identity_norm=identities != {False},
    )


def _fits(node: net.Convolution, kind: ConvolutionClass) -> bool:
    if (node.norm, node.bias) != (kind.norm, kind.bias):
        return False
    if not kind.shortcut:
        return node.shortcut is None
    if node.shortcut and _is_identity(node) and bool(node.shortcut.steps) != kind.identity_norm:
        return False
    return _is_ordinary(node)


def _is_identity(node: net.Convolution) -> bool:
    """Whether input and result have one shape, as far as the class's parameters tell."""
    return node.window.strides == (1, 1) and node.in_channels == node.out_channels


def _is_ordinary(node: net.Convolution) -> bool:
    """Whether the shortcut goes around the convolution alone and is the one that fits it."""
    if node.shortcut is None or node.pool is not None:
        return False
    window = node.window
    steps: list[net.PoolWindow | net.MatchChannels | net.Normalize] = []
    if window.strides != (1, 1):
        kernel = window.strides if window.kernel == (1, 1) else window.kernel
        steps.append(net.PoolWindow("sum", net.Window(kernel, window.strides, window.padding)))
    if node.in_channels != node.out_channels:
        steps.append(net.MatchChannels(node.in_channels, node.out_channels))
    if steps or node.shortcut.steps:
        steps.append(net.Normalize(node.out_channels))
    return tuple(steps) == node.shortcut.steps


def _norm(channels: int, weights: Mapping[str, str] | None = None) -> Layer:
    return Layer(Call("nn.BatchNorm2d", (str(channels),)), weights or {})


def _keys(name: str, *roles: str) -> dict[str, str]:
    return {role: f"{name}.{role}" for role in roles}


def _convolution_keys(node: net.Convolution) -> dict[str, str]:
    return _keys(node.name, "weight", *(["bias"] if node.bias else []))


def _window_arguments(window: net.Window, sides: bool) -> list[tuple[str, Expression]]:
    """Stride, padding and dilation where they are not a convolution's defaults."""
    arguments: list[tuple[str, Expression]] = []
    if window.strides != (1, 1):
        arguments.append(("stride", _size(window.strides)))
    if any(window.padding):
        top, left, _, _ = window.padding
        arguments.append(("padding", _torch_sides(window) if sides else _size((top, left))))
    if window.dilation != (1, 1):
        arguments.append(("dilation", _size(window.dilation)))
    return arguments


def _is_symmetric(window: net.Window) -> bool:
    top, left, bottom, right = window.padding
    return (top, left) == (bottom, right)


def _torch_sides(window: net.Window) -> str:
    """Padding in PyTorch's order, from the last axis to the first."""
    top, left, bottom, right = window.padding
    return f"({left}, {right}, {top}, {bottom})"


def _size(pair: net.Pair) -> str:
    height, width = pair
    return str(height) if height == width else f"({height}, {width})"
