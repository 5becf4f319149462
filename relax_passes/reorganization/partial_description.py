"""What a network's description has so far, as the rules of its operators see and extend it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any, Literal

import numpy as np
from tvm.ir import GenericConst

from ..ir.decisions import Decision
from ..ir.operator_graph import Node, OperatorGraph
from ..operators.rules.registry import Rules
from ..residuals.residual import Residual
from .cannot_reorganize import CannotReorganize, layer, no_counterpart
from .description import (
    Activate,
    Activation,
    AnyNode,
    Convolution,
    Dense,
    Elementwise,
    GlobalPool,
    KeptOperator,
    Port,
    Window,
)
from .join_verdicts import Verdicts
from .layout_transpose import squeezed

JoinActivation = Literal["convolution", "sum", "dropped"]


@dataclass(frozen=True)
class DescribedTensor:
    """A tensor of the module: the node (or input) that computes it, and how it is seen there."""

    source: str
    channels_first: bool = False


@dataclass
class PartialDescription:
    """Nodes of the plain baseline, still with the original's widths and the variables' names.

    What lies outside the operators `within` stays exact; None: nothing does.
    """

    graph: OperatorGraph
    residuals: dict[str, Residual]
    verdicts: Verdicts
    pass_name: str
    join_activation: JoinActivation = "convolution"
    within: frozenset[str] | None = None
    inputs: list[Port] = field(default_factory=list)
    outputs: list[Port] = field(default_factory=list)
    nodes: dict[str, AnyNode] = field(default_factory=dict)
    weights: dict[str, np.ndarray] = field(default_factory=dict)
    decisions: list[Decision] = field(default_factory=list)
    tensors: dict[str, DescribedTensor] = field(default_factory=dict)

    def _layer(self, name: str) -> str:
        return layer(name, self.graph[name])

    def decide(self, name: str, action: str, reason: str) -> None:
        origin = self.graph[name].origin
        where = name if origin is None else str(origin)
        self.decisions.append(Decision(self.pass_name, where, action, reason))

    def operands(self, name: str, data: Node) -> list[DescribedTensor]:
        """What has become of the operands, which have to lie alike: all channels-first, or none."""
        found = [self.tensors[operand] for operand in data.computed_operands]
        if not found:
            raise no_counterpart(name, data, " of constants")
        if len({tensor.channels_first for tensor in found}) > 1:
            raise no_counterpart(name, data, " of one image channels-first and one channels-last")
        return found

    def sources(self, name: str, data: Node) -> tuple[str, ...]:
        """The nodes that compute the operands, which have to be channels-last."""
        found = self.operands(name, data)
        if any(tensor.channels_first for tensor in found):
            raise no_counterpart(name, data, " of an image channels-first")
        return tuple(tensor.source for tensor in found)

    def vector(self, source: str, shape: tuple[int, ...]) -> DescribedTensor:
        """A vector that the module has in `shape`."""
        (channels,) = self.shape(source)
        return DescribedTensor(source, len(shape) > 2 and shape[1] == channels > 1)

    def elements(self, name: str) -> np.ndarray:
        """Which element of an image (or vector), channels last, a tensor of the module has where.

        The image has the channels that it has in the module: some may be gone.
        """
        tensor, spec = self.tensors[name], self.graph[name].spec.shape
        pixels = prod(self.shape(tensor.source)[:-1])
        last = np.arange(prod(spec)).reshape(pixels, -1)
        return (last.T if tensor.channels_first else last).reshape(spec)

    def seen(
        self, source: str, elements: np.ndarray, shape: tuple[int, ...]
    ) -> DescribedTensor | None:
        """An image (or vector) whose elements the module has in this order; None if in no known."""
        pixels = prod(self.shape(source)[:-1])
        last = np.arange(elements.size).reshape(pixels, -1)
        for first, order in ((False, last), (True, last.T)):
            if np.array_equal(elements.ravel(), order.ravel()):
                if pixels == 1 and len(self.shape(source)) == 1:
                    return self.vector(source, shape)
                return DescribedTensor(source, first)
        return None

    def is_image_shaped(self, name: str) -> bool:
        """Whether a tensor of the module has the axes of the image (or vector) that it is.

        Axes of length 1 are no matter.  Elements of others lie in the image's order, under axes
        that are none of its.
        """
        tensor, spec = self.tensors[name], self.graph[name].spec.shape
        shape = self.shape(tensor.source)
        if len(shape) != 3:
            return True
        pixels = shape[:2]
        channels = prod(spec) // prod(pixels)  # as the module has them: some may be gone
        whole = (channels, *pixels) if tensor.channels_first else (*pixels, channels)
        return squeezed(spec) == squeezed(whole)

    def channel_axis(self, tensor: DescribedTensor, rank: int) -> int:
        """Which axis of a tensor of the module has the channels."""
        return 1 if tensor.channels_first and rank > 2 else rank - 1

    def is_literal(self, source: str) -> bool:
        """Whether a node's result is neither an image nor a vector, but lies as in the module."""
        node = self.nodes.get(source)
        return isinstance(node, KeptOperator) and node.literal

    def literal_shape(self, source: str) -> tuple[int, ...]:
        """The shape of what a node computes with the batch, channels last."""
        shape = self.shape(source)
        return shape if self.is_literal(source) else (1, *shape)

    def alone(self, source: str, name: str) -> bool:
        """Whether nothing but the operator `name` will read what the node `source` computes."""
        same = {tensor for tensor, known in self.tensors.items() if known.source == source}
        live = self.verdicts.live
        read = {reader for tensor in same if tensor in live for reader in live.successors(tensor)}
        return read <= same | {name}

    def shape(self, source: str) -> tuple[int, ...]:
        if source in self.nodes:
            return self.nodes[source].shape
        (port,) = [p for p in self.inputs if p.name == source]
        return port.image_shape

    def add(self, node: AnyNode, origin: str = "") -> DescribedTensor:
        """A node for the operator of its name, or for a step towards the operator `origin`."""
        known = self.graph[origin or node.name].origin
        self.nodes[node.name] = replace(node, origin="" if known is None else str(known))
        return DescribedTensor(node.name)

    def keep(self, name: str, weight: np.ndarray, bias: np.ndarray) -> None:
        self.weights[f"{name}.weight"], self.weights[f"{name}.bias"] = weight, bias

    def constant(self, name: str, data: Node, index: int) -> np.ndarray:
        argument = data.call.args[index]
        if not isinstance(argument, GenericConst):
            raise CannotReorganize(f"the weights of {layer(name, data)} are computed, not constant")
        return argument.value.numpy()

    def activated(
        self, name: str, tensor: DescribedTensor, activation: Activation | None
    ) -> DescribedTensor:
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
            and self.alone(tensor.source, name)
        ):
            self.nodes[tensor.source] = replace(node, activation=activation)
            return tensor
        shape = self.shape(tensor.source)
        origin = name if name in self.graph else tensor.source
        made = self.add(Activate(name, (tensor.source,), shape, activation), origin)
        return replace(tensor, source=made.source)

    def joined(
        self, name: str, tensor: DescribedTensor, activation: Activation | None
    ) -> DescribedTensor:
        """What stands for a removed addition with the fused `activation`."""
        node = self.nodes.get(tensor.source)
        if activation is None or self.join_activation == "dropped":
            return tensor
        if (
            self.join_activation == "sum"
            and isinstance(node, Convolution)
            and node.final_activation is None
            and self.alone(tensor.source, name)
        ):
            self.nodes[tensor.source] = replace(node, final_activation=activation)
            return tensor
        return self.activated(name, tensor, activation)


DescriptionRule = Callable[[PartialDescription, str, Node], DescribedTensor]
DESCRIPTION: Rules[DescriptionRule] = Rules("the network's description")
"""Adds nodes for an operator, given its name and its node of the graph, and returns what stands for
its result.  Raises `CannotReorganize`.
"""


def clamp_of(attrs: Any) -> Activation | None:
    """The limits that an operator has of its own."""
    low, high = attrs["minimum"], attrs["maximum"]
    return None if low is None and high is None else Activation("clip", low, high)


def _may_move(node: Convolution, clip: bool) -> bool:
    """Whether an activation behind a convolution can be put before its pooling and its shortcut."""
    return node.final_activation is None and (clip or node.pool is None)


def add_dense(
    description: PartialDescription,
    name: str,
    data: Node,
    source: str,
    weight: np.ndarray | None,
    bias: np.ndarray,
) -> DescribedTensor:
    """A dense layer of the weights [O, I]; raises `CannotReorganize` if there are none."""
    if weight is None:
        raise no_counterpart(name, data, " on a single pixel with several results")
    description.keep(name, weight, bias)
    activation = clamp_of(data.signature.attrs)
    filters, channels = weight.shape
    made = Dense(name, (source,), (filters,), channels, filters, activation)
    return description.add(replace(made, in_gate=name in description.verdicts.gates))


def pointwise(
    description: PartialDescription,
    name: str,
    data: Node,
    source: str,
    weight: np.ndarray,
    bias: np.ndarray,
) -> DescribedTensor:
    """A dense layer of the weights [O, I] on each pixel of an image: a pointwise convolution."""
    filters, channels = weight.shape
    description.keep(name, weight.reshape(filters, 1, 1, channels), bias)
    shape = (*description.shape(source)[:-1], filters)
    activation = clamp_of(data.signature.attrs)
    window = Window((1, 1))
    made = Convolution(name, (source,), shape, channels, filters, window, activation=activation)
    return description.add(replace(made, in_gate=name in description.verdicts.gates))


def global_pool(
    description: PartialDescription, name: str, source: str, channels: int
) -> GlobalPool:
    """A pooling over all pixels."""
    made = GlobalPool(name, (source,), (channels,))
    return replace(made, in_gate=name in description.verdicts.gates)
