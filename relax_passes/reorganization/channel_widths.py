"""What follows from a change of width: channels counted again from the inputs to the outputs.

Where joins went, or where ``RefineOperators`` chooses other widths, a convolution takes what it
gets, a depthwise one is as wide as its input, and whatever is between hands the width on.  The
tensors that a dense layer reads keep theirs: if the width before a global pooling changed, a
pointwise convolution that restores it is put in front (the transition at the end of a DenseNet).
The dense layers of a gate follow the image that it multiplies.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import prod

from . import description as net
from .cannot_reorganize import CannotReorganize, refusing

Shape = tuple[int, ...]


def propagate(
    nodes: Iterable[net.AnyNode],
    inputs: Mapping[str, Shape],
    widths: Mapping[str, int] | None = None,
) -> list[net.AnyNode]:
    """`nodes` with the channels that follow from `inputs` and from the `widths` of convolutions.

    Raises ``CannotReorganize`` where an operator cannot take the width that it would get.
    """
    shapes = dict(inputs)
    made: dict[str, net.AnyNode] = {}
    nodes = list(nodes)
    gated = _gated_images(nodes)
    for node in nodes:
        with refusing(node.title, node.name):
            if isinstance(node, net.Flatten) or (
                isinstance(node, net.GlobalPool) and not node.in_gate
            ):
                node = _restored(node, shapes, made)
            given = [shapes[name] for name in node.inputs]
            if isinstance(node, net.Dense) and node.in_gate and len(given[0]) == 1:
                width = shapes[gated[node.name]][-1] if node.name in gated else node.out_channels
                node = _gate_layer(node, given[0][-1], width)
            else:
                node = _fitted(node, given, widths or {})
        shapes[node.name] = node.shape
        made[node.name] = node
    return list(made.values())


def _gated_images(nodes: Sequence[net.AnyNode]) -> dict[str, str]:
    """For the last dense layer of each gate the image of its width that the gate multiplies."""
    known = {node.name: node for node in nodes}
    gated = {}
    for node in nodes:
        if not isinstance(node, net.Elementwise) or node.function != "multiply":
            continue
        for factor, image in (node.inputs, reversed(node.inputs)):
            other = known.get(image)
            if other is None or len(other.shape) != 3:
                continue
            for gate in _made_by(factor, known):
                last = known[gate]
                if isinstance(last, net.Dense) and last.in_gate and last.out_channels > 1:
                    gated[gate] = image
    return gated


def _made_by(name: str, known: Mapping[str, net.AnyNode]) -> Iterator[str]:
    """The node of this name, or those whose elements its elements are computed from one by one."""
    node = known.get(name)
    if isinstance(node, net.Activate) or (
        isinstance(node, net.Elementwise) and len(node.shape) == 1
    ):
        for source in node.inputs:
            yield from _made_by(source, known)
    elif node is not None:
        yield name


def _gate_layer(node: net.Dense, channels: int, filters: int) -> net.Dense:
    same = (channels, filters) == (node.in_channels, node.out_channels)
    return replace(
        node,
        shape=(filters,),
        in_channels=channels,
        out_channels=filters,
        inherited=node.inherited and same,
    )


def _fitted(node: net.AnyNode, given: list[Shape], widths: Mapping[str, int]) -> net.AnyNode:
    if isinstance(node, net.Convolution):
        return _convolution(node, given[0][-1], widths.get(node.name, node.out_channels))
    if isinstance(node, net.Concat):
        return replace(node, shape=(*node.shape[:-1], sum(shape[-1] for shape in given)))
    if isinstance(node, (net.Pool, net.Upsample, net.Activate)):
        return replace(node, shape=(*node.shape[:-1], given[0][-1]))
    if isinstance(node, net.KeptOperator):
        found = [prod(shape) for shape in given]
        wanted = [prod(shape) for shape in node.input_shapes]
        if found != wanted:
            raise CannotReorganize(
                f"{node.title} stays as it is, so it takes {wanted[0]:,} numbers, not the "
                f"{found[0]:,} that remain once residual joins are removed"
            )
        return node
    if isinstance(node, net.Slice) and given[0][-1] < node.end:
        raise CannotReorganize(
            f"{node.title} takes channels {node.begin} to {node.end} of a tensor that has "
            f"{given[0][-1]} once residual joins are removed"
        )
    if isinstance(node, net.Shuffle):
        if given[0][-1] % node.groups:
            raise CannotReorganize(
                f"{node.title} shuffles {node.groups} groups of channels, which the "
                f"{given[0][-1]} that remain once residual joins are removed are no multiple of"
            )
        return replace(node, shape=(*node.shape[:-1], given[0][-1]))
    if isinstance(node, net.GlobalPool):
        return replace(node, shape=given[0][-1:])
    if isinstance(node, net.Elementwise):
        first, second = (shape[-1] for shape in given)
        if first != second and 1 not in (first, second):
            raise CannotReorganize(
                f"{node.title} joins tensors of {first} and {second} channels once residual joins "
                "are removed"
            )
        return replace(node, shape=(*node.shape[:-1], max(first, second)))
    if isinstance(node, net.Dense) and given[0] != (node.in_channels,):
        raise CannotReorganize(
            f"the dense layer {node.title} would read {given[0][-1]} values for {node.in_channels}"
        )
    return node


def _convolution(node: net.Convolution, channels: int, filters: int) -> net.Convolution:
    groups = node.groups
    if groups == node.in_channels > 1:
        groups, filters = channels, channels * (node.out_channels // node.in_channels)
    elif groups > 1 and channels != node.in_channels:
        raise CannotReorganize(
            f"the convolution {node.title} has {groups} groups, which do not fit the "
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
    node: net.GlobalPool | net.Flatten, shapes: dict[str, Shape], made: dict[str, net.AnyNode]
) -> net.GlobalPool | net.Flatten:
    """`node` behind a pointwise convolution that gives it the width it had, if that changed."""
    (source,) = node.inputs
    shape = shapes[source]
    pixels = 1 if isinstance(node, net.GlobalPool) else prod(shape[:-1])
    if node.shape[-1] == shape[-1] * pixels:
        return node
    restoring = net.Convolution(
        f"{node.name}_width",
        (source,),
        (*shape[:-1], node.shape[-1] // pixels),
        shape[-1],
        node.shape[-1] // pixels,
        net.Window((1, 1)),
        activation=getattr(made.get(source), "activation", None),
        inherited=False,
        origin=node.origin,
    )
    made[restoring.name] = restoring
    shapes[restoring.name] = restoring.shape
    return replace(node, inputs=(restoring.name,))
