r"""From a canonical module to the description of its plain twin (`reorganization`).

Walks the network in written order.  What the walk does with

* a residual addition: its main branch takes its place, and a clamp moves to the convolution that
  ends that branch;
* a residual concatenation around convolutions (DenseNet, U-Net): the operands that others are
  computed from go, the newest stays.  One around poolings alone (a pyramid of poolings) stays;
* any other join (parallel branches, gates): stays as it is;
* normalisations that no convolution has absorbed (a factor and a summand a channel): dropped, as
  a reorganized network has its own; their activation moves to the convolution before them;
* a convolution after a global pooling: a dense layer;
* a max pooling with a stride that is the only reader of a convolution (a stem): belongs to the
  convolution, as one shortcut goes around both.  An average commutes with the addition, so it
  stands after convolution and shortcut.

Raises ``CannotReorganize``, with the reason, for quantized networks, for an addition around
something without a convolution, and for operators that the description has no node for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any, Literal

import networkx as nx
import numpy as np
import tvm
from tvm.ir import GenericConst

from .decisions import Decision
from .graph import is_elementwise_join, operators_in_order, readers
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
from .residuals import NONE, Residual

CONVOLUTIONS = (OperatorClass.POINTWISE, OperatorClass.DEPTHWISE, OperatorClass.SPATIAL)
JoinActivation = Literal["convolution", "sum", "dropped"]

_TO_NHWC, _TO_NCHW = (0, 2, 3, 1), (0, 3, 1, 2)
_AFFINE = ("dero.multiply", "dero.add", "dero.subtract", "dero.divide")


@tvm.error.register_error("CannotReorganize")  # passes are run by C++, which knows errors by name
class CannotReorganize(ValueError):
    """The network has no reorganized counterpart; the message says why."""


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
    pass_name: str
    join_activation: JoinActivation = "convolution"
    inputs: list[Port] = field(default_factory=list)
    outputs: list[Port] = field(default_factory=list)
    nodes: dict[str, AnyNode] = field(default_factory=dict)
    weights: dict[str, np.ndarray] = field(default_factory=dict)
    removed: list[Residual] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    _tensors: dict[str, _Tensor] = field(default_factory=dict)

    def read(self) -> Description:
        """Walk the network."""
        for name in self.graph.graph["inputs"]:
            self._input(name)
        for name in operators_in_order(self.graph):
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
        transposed = [
            _is_transposition(self.graph.nodes[n], _TO_NHWC) for n in self.graph.successors(name)
        ]
        layout = ""
        if len(spec.shape) == 4:
            layout = "NCHW" if transposed and all(transposed) else "NHWC"
        self.inputs.append(Port(name, spec.shape, layout))
        self._tensors[name] = _Tensor(name, layout == "NCHW")

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
            raise self._unknown(name, data)
        return rule(name, data)

    def _unknown(self, name: str, data: dict, why: str = "") -> CannotReorganize:
        what = data["operator"].removeprefix("dero.").removeprefix("relax.")
        return CannotReorganize(
            f"the operator {what} ({name}){why} has no counterpart in a reorganized network"
        )

    def _sources(self, data: dict) -> tuple[str, ...]:
        """The nodes that compute the operands, which have to be channels-last."""
        found = []
        for operand in data["operands"]:
            if operand is None:
                continue
            tensor = self._tensors[operand]
            if tensor.channels_first:
                raise CannotReorganize(
                    f"{data['operator'].removeprefix('dero.')} reads {operand} channels-first"
                )
            found.append(tensor.source)
        return tuple(found)

    def _shape(self, source: str) -> tuple[int, ...]:
        if source in self.nodes:
            return self.nodes[source].shape
        (port,) = [p for p in self.inputs if p.name == source]
        shape = port.shape[1:]
        return (*shape[1:], shape[0]) if port.layout == "NCHW" else shape

    def _add(self, node: AnyNode) -> _Tensor:
        self.nodes[node.name] = node
        return _Tensor(node.name)

    def _conv2d(self, name: str, data: dict) -> _Tensor:
        (source,) = self._sources(data)
        signature, activation = data["signature"], _clamp(data["signature"].attrs)
        weight, bias = (self._constant(data, index) for index in (1, 2))
        channels, filters = signature.inputs[0].channels, weight.shape[0]
        groups = signature["groups"]
        window = Window(
            weight.shape[1:3], *(signature[k] for k in ("strides", "padding", "dilation"))
        )
        if window == Window((1, 1)) and groups == channels == filters > 1:
            return self._normalization(name, source, activation)
        if len(self._shape(source)) == 1 and window.kernel == (1, 1) and groups == 1:
            self._keep(name, weight[:, 0, 0, :], bias)
            return self._add(Dense(name, (source,), (filters,), channels, filters, activation))
        self._keep(name, weight, bias)
        shape = signature.output.shape[1:]
        return self._add(
            Convolution(
                name, (source,), shape, channels, filters, window, groups, activation=activation
            )
        )

    def _dense(self, name: str, data: dict) -> _Tensor:
        (source,) = self._sources(data)
        if len(self._shape(source)) != 1:
            raise self._unknown(name, data, " on the pixels of an image")
        weight, bias = (self._constant(data, index) for index in (1, 2))
        self._keep(name, weight, bias)
        activation = _clamp(data["signature"].attrs)
        filters, channels = weight.shape
        return self._add(Dense(name, (source,), (filters,), channels, filters, activation))

    def _constant(self, data: dict, index: int) -> np.ndarray:
        argument = data["call"].args[index]
        if not isinstance(argument, GenericConst):
            raise CannotReorganize(f"the weights of {data['operator']} are computed, not constant")
        return argument.value.numpy()

    def _keep(self, name: str, weight: np.ndarray, bias: np.ndarray) -> None:
        self.weights[f"{name}.weight"], self.weights[f"{name}.bias"] = weight, bias

    def _pool2d(self, name: str, data: dict) -> _Tensor:
        (source,) = self._sources(data)
        signature = data["signature"]
        shape, old = signature.output.shape[1:], signature.inputs[0].shape[1:]
        window = Window(*(signature[k] for k in ("pool_size", "strides", "padding", "dilation")))
        whole = window.kernel == old[:2] and not any(window.padding)
        if signature["kind"] == "average" and whole and not self._image_follows(name):
            tensor = self._add(GlobalPool(name, (source,), shape[2:]))
        else:
            pool = PoolWindow(signature["kind"], window, signature["count_include_pad"])
            conv = self.nodes.get(source)
            if (
                isinstance(conv, Convolution)
                and conv.pool is None
                and signature["kind"] == "max"
                and window.strides != (1, 1)
                and self.graph.out_degree(source) == 1
            ):
                self.nodes[source] = replace(conv, pool=pool, shape=shape)
                tensor = _Tensor(source)
            else:
                tensor = self._add(Pool(name, (source,), shape, pool))
        return self._activated(name, tensor.source, _clamp(signature.attrs))

    def _image_follows(self, name: str) -> bool:
        """Whether a convolution over several pixels comes later, if only in a tiny image."""
        after = (self.graph.nodes[node] for node in nx.descendants(self.graph, name))
        spatial = (OperatorClass.SPATIAL, OperatorClass.DEPTHWISE)
        return any(data["operator_class"] in spatial for data in after)

    def _reduce(self, name: str, data: dict) -> _Tensor:
        (source,) = self._sources(data)
        signature = data["signature"]
        axes = {axis % len(signature.inputs[0].shape) for axis in signature["axes"]}
        if signature["kind"] != "mean" or axes != {1, 2} or len(self._shape(source)) != 3:
            raise self._unknown(name, data, " that is no mean over the pixels")
        channels = signature.inputs[0].channels
        self._add(GlobalPool(name, (source,), (channels,)))
        return self._activated(name, name, _clamp(signature.attrs))

    def _resize2d(self, name: str, data: dict) -> _Tensor:
        (source,) = self._sources(data)
        old, shape = (s.shape[1:] for s in (data["signature"].inputs[0], data["signature"].output))
        factor = (shape[0] // old[0], shape[1] // old[1])
        if (old[0] * factor[0], old[1] * factor[1]) != shape[:2] or data["signature"][
            "coordinates"
        ] == "align_corners":
            raise self._unknown(name, data, " by a factor that is no integer")
        return self._add(Upsample(name, (source,), shape, factor))

    def _concat(self, name: str, data: dict) -> _Tensor:
        rank = len(data["signature"].output.shape)
        if data["signature"]["axis"] % rank != rank - 1 or None in data["operands"]:
            raise self._unknown(name, data, " that is not one of channels")
        return self._add(Concat(name, self._sources(data), data["signature"].output.shape[1:]))

    def _unary(self, name: str, data: dict) -> _Tensor:
        (operand,) = data["operands"]
        self._sources(data)
        source, attrs = self._tensors[operand].source, data["signature"].attrs
        activation = Activation(*(attrs[k] for k in ("function", "minimum", "maximum")))
        activation = replace(activation, alpha=attrs["alpha"], beta=attrs["beta"])
        if attrs["function"] == "relu":
            activation = Activation("clip", 0.0, attrs["maximum"])
        if any(residual.join == operand for residual in self.removed):
            return self._joined(name, source, activation)
        if len(readers(self.graph, operand)) > 1:
            return self._add(Activate(name, (source,), self._shape(source), activation))
        return self._activated(name, source, activation)

    def _softmax(self, name: str, data: dict) -> _Tensor:
        (source,) = self._sources(data)
        return self._add(Activate(name, (source,), self._shape(source), Activation("softmax")))

    def _transpose(self, name: str, data: dict) -> _Tensor:
        (operand,) = data["operands"]
        tensor, axes = self._tensors[operand], data["signature"]["axes"]
        wanted = _TO_NHWC if tensor.channels_first else _TO_NCHW
        if axes != wanted:
            raise self._unknown(name, data, f" with the axes {axes}")
        return _Tensor(tensor.source, not tensor.channels_first)

    def _reshape(self, name: str, data: dict) -> _Tensor:
        (operand,) = data["operands"]
        tensor, shape = self._tensors[operand], data["signature"].output.shape
        old = self._shape(tensor.source)
        if len(old) == 3 and _is_transposition(
            data, _TO_NHWC if tensor.channels_first else _TO_NCHW
        ):
            return _Tensor(tensor.source, not tensor.channels_first)
        if shape[0] != 1 or prod(shape) != max(shape):  # more than one axis that is not 1
            raise self._unknown(name, data, f" to {shape}")
        if len(old) == 1:  # (1, C), (1, 1, 1, C), (1, C, 1, 1): the same vector
            return _Tensor(tensor.source, len(shape) == 4 and shape[1] == old[0] > 1)
        return self._add(Flatten(name, (tensor.source,), (prod(old),), tensor.channels_first))

    # --- joins, normalisations, activations --------------------------------------------------

    def _affine(self, name: str, data: dict) -> _Tensor:
        sources = self._sources(data)
        constants = [a for a in data["call"].args if isinstance(a, GenericConst)]
        sizes = [constant.value.numpy().size for constant in constants]
        if len(sources) != 1 or sizes not in ([1], [data["signature"].output.channels]):
            raise self._unknown(name, data, " with a constant that is not one number a channel")
        return self._normalization(name, sources[0], _clamp(data["signature"].attrs))

    def _normalization(self, name: str, source: str, activation: Activation | None) -> _Tensor:
        reason = "a reorganized network has normalisations of its own"
        self.decisions.append(Decision(self.pass_name, name, "dropped", reason))
        return self._activated(name, source, activation)

    def _activated(self, name: str, source: str, activation: Activation | None) -> _Tensor:
        """`source` with an activation after it, which its operator takes over if it has none."""
        node = self.nodes.get(source)
        if activation is None or getattr(node, "activation", None) == activation:
            return _Tensor(source)
        if isinstance(node, (Convolution, Dense, Elementwise)) and node.activation is None:
            self.nodes[source] = replace(node, activation=activation)
            return _Tensor(source)
        return self._add(Activate(name, (source,), self._shape(source), activation))

    def _elementwise(self, name: str, data: dict) -> _Tensor:
        sources, activation = self._sources(data), _clamp(data["signature"].attrs)
        function = data["operator"].removeprefix("dero.")
        shape = max((self._shape(source) for source in sources), key=len)
        return self._add(Elementwise(name, sources, shape, function, activation))

    def _join(self, name: str, data: dict) -> _Tensor:
        residual = self.residuals[name]
        shortcuts = {branch.operand for branch in residual.shortcuts}
        main = [b.operand for b in residual.branches if b.operand not in shortcuts]
        kept = ""
        if residual.shortcut == NONE:
            kept = "its branches are parallel: none is a shortcut"
        elif residual.operator not in ("dero.add", "dero.concat"):
            kept = f"{residual.operator} is a gate or a difference, not a residual join"
        elif not self._convolutions(residual):
            if residual.operator == "dero.add":
                raise CannotReorganize(
                    f"the residual addition {name} goes around no convolution, so there is none "
                    "that its shortcut could be given to"
                )
            kept = "a pyramid of poolings: no convolution lies between its operands"
        if kept:
            self.decisions.append(Decision(self.pass_name, name, "left alone", kept))
            if residual.operator == "dero.concat":
                return self._concat(name, data)
            return self._elementwise(name, data)
        self.removed.append(residual)
        why = f"the main branch takes its place; the shortcut was {', '.join(sorted(shortcuts))}"
        self.decisions.append(Decision(self.pass_name, name, "removed", why))
        if residual.operator == "dero.concat":
            sources = tuple(self._tensors[operand].source for operand in main)
            if len(sources) == 1:
                return _Tensor(sources[0])
            shapes = [self._shape(source) for source in sources]
            width = sum(shape[-1] for shape in shapes)
            return self._add(Concat(name, sources, (*shapes[0][:-1], width)))
        source, activation = self._tensors[main[0]].source, _clamp(data["signature"].attrs)
        return self._joined(name, source, activation)

    def _joined(self, name: str, source: str, activation: Activation | None) -> _Tensor:
        """What stands for a removed addition with the fused `activation`."""
        node = self.nodes.get(source)
        if activation is None or self.join_activation == "dropped":
            return _Tensor(source)
        if self.join_activation == "sum" and isinstance(node, Convolution):
            self.nodes[source] = replace(node, final_activation=activation)
            return _Tensor(source)
        return self._activated(name, source, activation)

    def _convolutions(self, residual: Residual) -> list[str]:
        """The convolutions that a residual goes around."""
        graph, shortcuts = self.graph, {b.operand for b in residual.shortcuts}
        around = around_shortcut(residual, shortcuts)
        return [n for n in around if graph.nodes[n]["operator_class"] in CONVOLUTIONS]


def around_shortcut(residual: Residual, shortcuts: Sequence[str] | set[str]) -> set[str]:
    """The operators between a residual's fork and join that no shortcut operand needs."""
    paths = {branch.operand: set(branch.operators) for branch in residual.branches}
    needed = set().union(*(paths[operand] for operand in shortcuts)) if shortcuts else set()
    return set().union(*paths.values()) - needed


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
