"""What follows from a change of width: channels counted again from the inputs to the outputs.

Where joins went, or where ``RefineOperators`` chooses other widths, a convolution takes what it
gets, a depthwise one is as wide as its input, and whatever is between hands the width on.  The
tensors that a dense layer reads keep theirs: if the width before a global pooling changed, a
pointwise convolution that restores it is put in front (the transition at the end of a DenseNet).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from math import prod

from .describe_network import CannotReorganize
from .reorganization import (
    Activate,
    AnyNode,
    Concat,
    Convolution,
    Dense,
    Elementwise,
    Flatten,
    GlobalPool,
    Pool,
    Upsample,
    Window,
)

Shape = tuple[int, ...]


def propagate(
    nodes: Iterable[AnyNode], inputs: Mapping[str, Shape], widths: Mapping[str, int] | None = None
) -> list[AnyNode]:
    """`nodes` with the channels that follow from `inputs` and from the `widths` of convolutions.

    Raises ``CannotReorganize`` where an operator cannot take the width that it would get.
    """
    shapes = dict(inputs)
    made: dict[str, AnyNode] = {}
    for node in nodes:
        if isinstance(node, (GlobalPool, Flatten)):
            node = _restored(node, shapes, made)
        node = _fitted(node, [shapes[name] for name in node.inputs], widths or {})
        shapes[node.name] = node.shape
        made[node.name] = node
    return list(made.values())


def _fitted(node: AnyNode, given: list[Shape], widths: Mapping[str, int]) -> AnyNode:
    if isinstance(node, Convolution):
        return _convolution(node, given[0][-1], widths.get(node.name, node.out_channels))
    if isinstance(node, Concat):
        return replace(node, shape=(*node.shape[:-1], sum(shape[-1] for shape in given)))
    if isinstance(node, (Pool, Upsample, Activate)):
        return replace(node, shape=(*node.shape[:-1], given[0][-1]))
    if isinstance(node, Elementwise) and len({shape[-1] for shape in given}) > 1:
        raise CannotReorganize(
            f"{node.function} ({node.name}) joins tensors of {given[0][-1]} and {given[1][-1]} "
            "channels once residual joins are removed"
        )
    if isinstance(node, Elementwise):
        return replace(node, shape=(*node.shape[:-1], given[0][-1]))
    if isinstance(node, Dense) and given[0] != (node.in_channels,):
        raise CannotReorganize(
            f"the dense layer {node.name} would read {given[0][-1]} values for {node.in_channels}"
        )
    return node


def _convolution(node: Convolution, channels: int, filters: int) -> Convolution:
    groups = node.groups
    if groups == node.in_channels > 1:
        groups, filters = channels, channels * (node.out_channels // node.in_channels)
    elif groups > 1 and channels != node.in_channels:
        raise CannotReorganize(
            f"the convolution {node.name} has {groups} groups, which do not fit the "
            f"{channels} channels that it would get instead of {node.in_channels}"
        )
    fitted = replace(
        node,
        in_channels=channels,
        out_channels=filters,
        groups=groups,
        shape=(*node.shape[:-1], filters),
    )
    same = fitted.weight_shape == node.weight_shape
    return replace(fitted, inherited=node.inherited and same)


def _restored(
    node: GlobalPool | Flatten, shapes: dict[str, Shape], made: dict[str, AnyNode]
) -> GlobalPool | Flatten:
    """`node` behind a pointwise convolution that gives it the width it had, if that changed."""
    (source,) = node.inputs
    shape = shapes[source]
    pixels = 1 if isinstance(node, GlobalPool) else prod(shape[:-1])
    if node.shape[-1] == shape[-1] * pixels:
        return node
    restoring = Convolution(
        f"{node.name}_width",
        (source,),
        (*shape[:-1], node.shape[-1] // pixels),
        shape[-1],
        node.shape[-1] // pixels,
        Window((1, 1)),
        activation=getattr(made.get(source), "activation", None),
        inherited=False,
    )
    made[restoring.name] = restoring
    shapes[restoring.name] = restoring.shape
    return replace(node, inputs=(restoring.name,))
