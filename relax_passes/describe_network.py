r"""From a canonical module to the description of its plain twin (`reorganization`).

Walks the network in written order.  What the walk does with

* a residual addition: its main branch takes its place, and a clamp moves to the convolution that
  ends that branch;
* a residual concatenation (DenseNet, U-Net): the operands that others are computed from go, the
  newest stays;
* any other join (parallel branches, gates): stays as it is; `join_verdicts` says which;
* normalisations that no convolution has absorbed (a factor and a summand a channel): dropped, as
  a reorganized network has its own; their activation moves to the convolution before them if
  nothing else will read that;
* a convolution after a global pooling: a dense layer;
* a max pooling with a stride that is the only reader of a convolution (a stem): belongs to the
  convolution, as one shortcut goes around both.  An average commutes with the addition, so it
  stands after convolution and shortcut.

Raises ``CannotReorganize``, with the reason and the layer as the model file calls it, for quantized
networks and for operators that the description has no node for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any, Literal

import networkx as nx
import numpy as np
from tvm.ir import GenericConst

from .cannot_reorganize import CannotReorganize, layer, no_counterpart, one_axis, refusing
from .decisions import Decision
from .graph import is_elementwise_join, operators_in_order
from .join_verdicts import Verdicts
from .operators import OperatorClass
from .reorganization import (
    Activate,
    Activation,
    AnyNode,
    Concat,
    Convolution,
    Dense,
    Elementwise,
    Flatten,
    GlobalPool,
    Pool,
    PoolWindow,
    Port,
    Upsample,
    Window,
)
from .residuals import Residual

JoinActivation = Literal["convolution", "sum", "dropped"]

_TO_NHWC, _TO_NCHW = (0, 2, 3, 1), (0, 3, 1, 2)
_AFFINE = ("dero.multiply", "dero.add", "dero.subtract", "dero.divide")


@dataclass(frozen=True)
class _Tensor:
    """A tensor of the module: the node (or input) that computes it, and how it is seen there."""

    source: str
    channels_first: bool = False


@dataclass
class Description:
    """Nodes of the plain twin, still with the original's widths and the variables' names."""

    graph: nx.DiGraph
    residuals: dict[str, Residual]
    verdicts: Verdicts
    pass_name: str
    join_activation: JoinActivation = "convolution"
    inputs: list[Port] = field(default_factory=list)
    outputs: list[Port] = field(default_factory=list)
    nodes: dict[str, AnyNode] = field(default_factory=dict)
    weights: dict[str, np.ndarray] = field(default_factory=dict)
    decisions: list[Decision] = field(default_factory=list)
    _tensors: dict[str, _Tensor] = field(default_factory=dict)

    def read(self) -> Description:
        """Walk the network."""
        for name in self.graph.graph["inputs"]:
            self._input(name)
        for name in operators_in_order(self.graph):
            with refusing(self._layer(name)):
                self._tensors[name] = self._tensor(name)
        outputs = [n for n, data in self.graph.nodes(data=True) if data["kind"] == "output"]
        for output in sorted(outputs, key=lambda n: int(n[7:-1])):
            self._output(output)
        alive = {port.name for port in self.outputs}
        for name in reversed(list(self.nodes)):
            if name in alive:
                alive |= set(self.nodes[name].inputs)
        self.nodes = {name: node for name, node in self.nodes.items() if name in alive}
        return self

    @property
    def removed(self) -> list[Residual]:
        """The residual joins that the twin does not have."""
        return list(self.verdicts.removed.values())

    def _layer(self, name: str) -> str:
        return layer(name, self.graph.nodes[name])

    def _decide(self, name: str, action: str, reason: str) -> None:
        origin = self.graph.nodes[name]["origin"]
        where = name if origin is None else str(origin)
        self.decisions.append(Decision(self.pass_name, where, action, reason))

    def nodes_of(self, names: Iterable[str]) -> set[str]:
        """The nodes that tensors of the module have become."""
        return {self._tensors[name].source for name in names}

    # --- ports -------------------------------------------------------------------------------

    def _input(self, name: str) -> None:
        spec = self.graph.nodes[name]["spec"]
        if spec.dtype != "float32":
            raise CannotReorganize(
                f"the input {name} is {spec.dtype}: a quantized network cannot be retrained; "
                "reorganize the float network and quantize it after training"
            )
        layout = ""
        if len(spec.shape) == 4:
            layout = "NCHW" if self._is_transposed(name) else "NHWC"
        self.inputs.append(Port(name, spec.shape, layout))
        self._tensors[name] = _Tensor(name, layout == "NCHW")

    def _is_transposed(self, name: str) -> bool:
        """Whether a tensor, or what is computed from its single elements, is made channels-last."""
        readers = [(n, self.graph.nodes[n]) for n in self.graph.successors(name)]
        return any(
            _is_transposition(data, _TO_NHWC)
            or (data["operator_class"] is OperatorClass.ELEMENTWISE and self._is_transposed(n))
            for n, data in readers
        )

    def _output(self, output: str) -> None:
        data = self.graph.nodes[output]
        (operand,) = data["operands"]
        if operand is None:
            raise CannotReorganize(f"the network's output {output} is a constant")
        tensor, shape = self._tensors[operand], data["spec"].shape
        layout = ""
        if len(shape) == 4:
            layout = "NCHW" if tensor.channels_first else "NHWC"
        self.outputs.append(Port(tensor.source, shape, layout))

    # --- operators ---------------------------------------------------------------------------

    def _tensor(self, name: str) -> _Tensor:
        data = self.graph.nodes[name]
        if name in self.residuals:
            return self._join(name, data)
        if data["spec"] is None or data["spec"].dtype != "float32":
            raise no_counterpart(name, data, " of other values than float32")
        if is_elementwise_join(self.graph, name):
            return self._elementwise(name, data)
        rule = {
            "dero.conv2d": self._conv2d,
            "dero.pool2d": self._pool2d,
            "dero.dense": self._dense,
            "dero.reduce": self._reduce,
            "dero.resize2d": self._resize2d,
            "dero.concat": self._concat,
            "dero.unary": self._unary,
            "dero.softmax": self._softmax,
            "dero.transpose": self._transpose,
            "dero.reshape": self._reshape,
            **dict.fromkeys(_AFFINE, self._affine),
        }.get(data["operator"])
        if rule is None:
            raise no_counterpart(name, data)
        return rule(name, data)

    def _operands(self, name: str, data: dict) -> list[_Tensor]:
        """What has become of the operands, which have to lie alike: all channels-first, or none."""
        found = [self._tensors[operand] for operand in data["operands"] if operand is not None]
        if not found:
            raise no_counterpart(name, data, " of constants")
        if len({tensor.channels_first for tensor in found}) > 1:
            raise no_counterpart(name, data, " of one image channels-first and one channels-last")
        return found

    def _sources(self, name: str, data: dict) -> tuple[str, ...]:
        """The nodes that compute the operands, which have to be channels-last."""
        found = self._operands(name, data)
        if any(tensor.channels_first for tensor in found):
            raise no_counterpart(name, data, " of an image channels-first")
        return tuple(tensor.source for tensor in found)

    def _image(self, name: str, data: dict) -> str:
        """The node that computes the only operand, an image."""
        sources = self._sources(name, data)
        if len(sources) != 1 or len(self._shape(sources[0])) != 3:
            raise no_counterpart(name, data, " of something else than one image")
        return sources[0]

    def _alone(self, source: str, name: str) -> bool:
        """Whether nothing but the operator `name` will read what the node `source` computes."""
        same = {tensor for tensor, known in self._tensors.items() if known.source == source}
        live = self.verdicts.live
        read = {reader for tensor in same if tensor in live for reader in live.successors(tensor)}
        return read <= same | {name}

    def _shape(self, source: str) -> tuple[int, ...]:
        if source in self.nodes:
            return self.nodes[source].shape
        (port,) = [p for p in self.inputs if p.name == source]
        shape = port.shape[1:]
        return (*shape[1:], shape[0]) if port.layout == "NCHW" else shape

    def _add(self, node: AnyNode) -> _Tensor:
        origin = self.graph.nodes[node.name]["origin"]
        self.nodes[node.name] = replace(node, origin="" if origin is None else str(origin))
        return _Tensor(node.name)

    def _conv2d(self, name: str, data: dict) -> _Tensor:
        signature, activation = data["signature"], _clamp(data["signature"].attrs)
        weight, bias = (self._constant(name, data, index) for index in (1, 2))
        (tensor,) = self._operands(name, data)
        source, shape = tensor.source, self._shape(tensor.source)
        channels, filters = signature.inputs[0].channels, weight.shape[0]
        groups = signature["groups"]
        window = Window(
            weight.shape[1:3], *(signature[k] for k in ("strides", "padding", "dilation"))
        )
        if tensor.channels_first or shape[-1] != channels:
            raise one_axis(name, data)
        if window == Window((1, 1)) and groups == channels == filters > 1:
            return self._normalization(name, tensor, activation)
        if len(shape) == 1:
            return self._dense_of(name, data, source, _of_one_pixel(weight, window), bias)
        self._keep(name, weight, bias)
        shape = signature.output.shape[1:]
        made = Convolution(
            name, (source,), shape, channels, filters, window, groups, activation=activation
        )
        return self._add(replace(made, in_gate=name in self.verdicts.gates))

    def _dense(self, name: str, data: dict) -> _Tensor:
        weight, bias = (self._constant(name, data, index) for index in (1, 2))
        (source,) = self._sources(name, data)
        if len(self._shape(source)) != 1:
            raise no_counterpart(name, data, " on the pixels of an image")
        return self._dense_of(name, data, source, weight, bias)

    def _dense_of(
        self, name: str, data: dict, source: str, weight: np.ndarray | None, bias: np.ndarray
    ) -> _Tensor:
        if weight is None or (weight.shape[1],) != self._shape(source):
            raise no_counterpart(name, data, " on a single pixel, with groups or several results")
        self._keep(name, weight, bias)
        activation = _clamp(data["signature"].attrs)
        filters, channels = weight.shape
        made = Dense(name, (source,), (filters,), channels, filters, activation)
        return self._add(replace(made, in_gate=name in self.verdicts.gates))

    def _constant(self, name: str, data: dict, index: int) -> np.ndarray:
        argument = data["call"].args[index]
        if not isinstance(argument, GenericConst):
            raise CannotReorganize(f"the weights of {layer(name, data)} are computed, not constant")
        return argument.value.numpy()

    def _keep(self, name: str, weight: np.ndarray, bias: np.ndarray) -> None:
        self.weights[f"{name}.weight"], self.weights[f"{name}.bias"] = weight, bias

    def _pool2d(self, name: str, data: dict) -> _Tensor:
        signature = data["signature"]
        shape, old = signature.output.shape[1:], signature.inputs[0].shape[1:]
        window = Window(*(signature[k] for k in ("pool_size", "strides", "padding", "dilation")))
        (tensor,) = self._operands(name, data)
        if window == Window((1, 1)):  # of a single pixel, perhaps
            return self._activated(name, tensor, _clamp(signature.attrs))
        source = self._image(name, data)
        whole = window.kernel == old[:2] and not any(window.padding)
        if signature["kind"] == "average" and whole and not self._image_follows(name):
            tensor = self._add(self._global_pool(name, source, shape[-1]))
        else:
            pool = PoolWindow(signature["kind"], window, signature["count_include_pad"])
            conv = self.nodes.get(source)
            if (
                isinstance(conv, Convolution)
                and conv.pool is None
                and conv.final_activation is None
                and not conv.in_gate
                and signature["kind"] == "max"
                and window.strides != (1, 1)
                and self._alone(source, name)
            ):
                self.nodes[source] = replace(conv, pool=pool, shape=shape)
                tensor = _Tensor(source)
            else:
                tensor = self._add(Pool(name, (source,), shape, pool))
        return self._activated(name, tensor, _clamp(signature.attrs))

    def _global_pool(self, name: str, source: str, channels: int) -> GlobalPool:
        made = GlobalPool(name, (source,), (channels,))
        return replace(made, in_gate=name in self.verdicts.gates)

    def _image_follows(self, name: str) -> bool:
        """Whether a convolution over several pixels comes later, if only in a tiny image."""
        after = (self.graph.nodes[node] for node in nx.descendants(self.graph, name))
        spatial = (OperatorClass.SPATIAL, OperatorClass.DEPTHWISE)
        return any(data["operator_class"] in spatial for data in after)

    def _reduce(self, name: str, data: dict) -> _Tensor:
        signature = data["signature"]
        (tensor,) = self._operands(name, data)
        rank, shape = len(signature.inputs[0].shape), self._shape(tensor.source)
        axes = {axis % rank for axis in signature["axes"]}
        pixels = {2, 3} if tensor.channels_first else {1, 2}
        if signature["kind"] != "mean" or rank != 4 or axes != pixels:
            raise no_counterpart(name, data, " that is no mean over the pixels")
        if len(shape) == 3:
            tensor = self._add(self._global_pool(name, tensor.source, shape[-1]))
        first = tensor.channels_first and len(signature.output.shape) == 4
        return self._activated(name, replace(tensor, channels_first=first), _clamp(signature.attrs))

    def _resize2d(self, name: str, data: dict) -> _Tensor:
        source = self._image(name, data)
        old, shape = (s.shape[1:] for s in (data["signature"].inputs[0], data["signature"].output))
        factor = (shape[0] // old[0], shape[1] // old[1])
        if (old[0] * factor[0], old[1] * factor[1]) != shape[:2] or data["signature"][
            "coordinates"
        ] == "align_corners":
            raise no_counterpart(name, data, " by a factor that is no integer")
        return self._add(Upsample(name, (source,), shape, factor))

    def _concat(self, name: str, data: dict) -> _Tensor:
        shape = data["signature"].output.shape
        if None in data["operands"]:
            raise no_counterpart(name, data, " with a constant")
        sources = self._sources(name, data)
        ranks = {len(self._shape(source)) for source in sources}
        if data["signature"]["axis"] % len(shape) != len(shape) - 1 or len(ranks) > 1:
            raise no_counterpart(name, data, " that is not one of channels")
        return self._add(Concat(name, sources, shape[-ranks.pop() :]))

    def _unary(self, name: str, data: dict) -> _Tensor:
        (tensor,) = self._operands(name, data)
        (operand,) = data["operands"]
        attrs = data["signature"].attrs
        activation = Activation(*(attrs[k] for k in ("function", "minimum", "maximum")))
        activation = replace(activation, alpha=attrs["alpha"], beta=attrs["beta"])
        if attrs["function"] == "relu":
            activation = Activation("clip", 0.0, attrs["maximum"])
        if operand in self.verdicts.removed:
            return self._joined(name, tensor, activation)
        return self._activated(name, tensor, activation)

    def _softmax(self, name: str, data: dict) -> _Tensor:
        (source,) = self._sources(name, data)
        return self._add(Activate(name, (source,), self._shape(source), Activation("softmax")))

    def _transpose(self, name: str, data: dict) -> _Tensor:
        (operand,) = data["operands"]
        tensor, axes = self._tensors[operand], data["signature"]["axes"]
        wanted = _TO_NHWC if tensor.channels_first else _TO_NCHW
        if axes != wanted:
            raise no_counterpart(name, data, f" with the axes {axes}")
        return _Tensor(tensor.source, not tensor.channels_first)

    def _reshape(self, name: str, data: dict) -> _Tensor:
        (operand,) = data["operands"]
        tensor, shape = self._tensors[operand], data["signature"].output.shape
        old = self._shape(tensor.source)
        if len(old) == 3 and _is_transposition(
            data, _TO_NHWC if tensor.channels_first else _TO_NCHW
        ):
            return _Tensor(tensor.source, not tensor.channels_first)
        if shape == data["signature"].inputs[0].shape:
            return tensor
        if shape[0] != 1 or prod(shape) != max(shape):  # more than one axis that is not 1
            raise no_counterpart(name, data, f" to {shape}")
        if len(old) == 1:  # (1, C), (1, 1, 1, C), (1, C, 1, 1): the same vector
            return _Tensor(tensor.source, len(shape) == 4 and shape[1] == old[0] > 1)
        return self._add(Flatten(name, (tensor.source,), (prod(old),), tensor.channels_first))

    # --- joins, normalisations, activations --------------------------------------------------

    def _affine(self, name: str, data: dict) -> _Tensor:
        tensors = self._operands(name, data)
        constants = [a for a in data["call"].args if isinstance(a, GenericConst)]
        shapes = [constant.value.numpy().shape for constant in constants]
        rank, channels = len(data["spec"].shape), self._shape(tensors[0].source)[-1]
        wanted = [
            (channels if axis == _channel_axis(rank, tensors[0]) else 1) for axis in range(rank)
        ]
        fits = [prod(s) == 1 or (1,) * (rank - len(s)) + s == tuple(wanted) for s in shapes]
        if len(tensors) != 1 or fits != [True]:
            raise no_counterpart(name, data, " with a constant that is not one number a channel")
        return self._normalization(name, tensors[0], _clamp(data["signature"].attrs))

    def _normalization(self, name: str, tensor: _Tensor, activation: Activation | None) -> _Tensor:
        self._decide(name, "dropped", "a reorganized network has normalisations of its own")
        return self._activated(name, tensor, activation)

    def _activated(self, name: str, tensor: _Tensor, activation: Activation | None) -> _Tensor:
        """`tensor` with an activation after it, which its operator takes over if it can."""
        node = self.nodes.get(tensor.source)
        if activation is None:
            return tensor
        clip = activation.function == "clip"
        known = getattr(node, "activation", None)
        if clip and known == activation:
            return tensor
        if (
            isinstance(node, (Convolution, Dense, Elementwise))
            and known is None
            and (not isinstance(node, Convolution) or _may_move(node, clip))
            and self._alone(tensor.source, name)
        ):
            self.nodes[tensor.source] = replace(node, activation=activation)
            return tensor
        shape = self._shape(tensor.source)
        made = self._add(Activate(name, (tensor.source,), shape, activation))
        return replace(tensor, source=made.source)

    def _elementwise(self, name: str, data: dict) -> _Tensor:
        tensors, activation = self._operands(name, data), _clamp(data["signature"].attrs)
        if len(data["operands"]) != len(tensors):
            raise no_counterpart(name, data, " with a constant")
        sources = tuple(tensor.source for tensor in tensors)
        function = data["operator"].removeprefix("dero.")
        rank = max(len(self._shape(source)) for source in sources)
        sizes = zip(*(((1,) * (rank - len(s)) + s) for s in map(self._shape, sources)))
        shape = tuple(map(max, sizes))
        made = self._add(Elementwise(name, sources, shape, function, activation))
        return replace(tensors[0], source=made.source)

    def _join(self, name: str, data: dict) -> _Tensor:
        residual = self.residuals[name]
        if name in self.verdicts.kept:
            self._decide(name, "left alone", self.verdicts.kept[name])
            if residual.operator == "dero.concat":
                return self._concat(name, data)
            return self._elementwise(name, data)
        shortcuts = {branch.operand for branch in residual.shortcuts}
        main = [b.operand for b in residual.branches if b.operand not in shortcuts]
        words = (str(self.graph.nodes[s]["origin"] or s) for s in sorted(shortcuts))
        why = f"the main branch takes its place; the shortcut was {', '.join(words)}"
        self._decide(name, "removed", why)
        if residual.operator == "dero.concat":
            return self._newest(name, data, main)
        return self._joined(name, self._tensors[main[0]], _clamp(data["signature"].attrs))

    def _newest(self, name: str, data: dict, main: list[str]) -> _Tensor:
        """What stands for a removed concatenation."""
        self._sources(name, data)
        rank = len(data["spec"].shape)
        if data["signature"]["axis"] % rank != rank - 1:
            raise no_counterpart(name, data, " that is not one of channels")
        sources = tuple(self._tensors[operand].source for operand in main)
        if len(sources) == 1:
            return _Tensor(sources[0])
        shapes = [self._shape(source) for source in sources]
        width = sum(shape[-1] for shape in shapes)
        return self._add(Concat(name, sources, (*shapes[0][:-1], width)))

    def _joined(self, name: str, tensor: _Tensor, activation: Activation | None) -> _Tensor:
        """What stands for a removed addition with the fused `activation`."""
        node = self.nodes.get(tensor.source)
        if activation is None or self.join_activation == "dropped":
            return tensor
        if (
            self.join_activation == "sum"
            and isinstance(node, Convolution)
            and node.final_activation is None
            and self._alone(tensor.source, name)
        ):
            self.nodes[tensor.source] = replace(node, final_activation=activation)
            return tensor
        return self._activated(name, tensor, activation)


def _may_move(node: Convolution, clip: bool) -> bool:
    """Whether an activation behind a convolution can be put before its pooling and its shortcut."""
    return node.final_activation is None and (clip or node.pool is None)


def _of_one_pixel(weight: np.ndarray, window: Window) -> np.ndarray | None:
    """A convolution's weights on an image of one pixel; None if it gives more, or has groups."""
    top, left, bottom, right = window.padding
    rows, columns = (d * (k - 1) + 1 for d, k in zip(window.dilation, window.kernel))
    # The pixel must lie under one weight, and the window fit only once.
    results = (1 + top + bottom - rows) // window.strides[0], (1 + left + right - columns)
    if results[0] or results[1] // window.strides[1]:
        return None
    places = (top / window.dilation[0], left / window.dilation[1])
    if any(place != int(place) for place in places):
        return None
    return weight[:, int(places[0]), int(places[1]), :]


def _channel_axis(rank: int, tensor: _Tensor) -> int:
    return 1 if tensor.channels_first and rank == 4 else rank - 1


def _is_transposition(data: dict, axes: tuple[int, ...]) -> bool:
    """Whether an operator transposes an image so; of one channel, that is a mere reshape."""
    if data["operator"] == "dero.transpose":
        return data["signature"]["axes"] == axes
    if data["operator"] != "dero.reshape":
        return False
    old, new = data["signature"].inputs[0].shape, data["signature"].output.shape
    channels = old[1] if axes == _TO_NHWC else old[-1]
    return len(old) == 4 and channels == 1 and new == tuple(old[axis] for axis in axes)


def _clamp(attrs: Any) -> Activation | None:
    low, high = attrs["minimum"], attrs["maximum"]
    return None if low is None and high is None else Activation("clip", low, high)
