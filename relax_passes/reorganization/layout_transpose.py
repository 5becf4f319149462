"""Where a network moves the channels of its images, in whatever way it says so.

Axes of length 1 are no matter: an image of one channel is moved by a reshape, and a sequence is an
image with an axis of length 1, wherever that stands.
"""

from __future__ import annotations

from ..ir.operator_graph import Node

TO_NHWC, TO_NCHW = (0, 2, 3, 1), (0, 3, 1, 2)


def is_transpose(data: Node, axes: tuple[int, ...]) -> bool:
    """Whether an operator transposes an image so; of one channel, that is a mere reshape."""
    if data.operator == "dero.transpose":
        return data.signature["axes"] == axes
    if data.operator != "dero.reshape":
        return False
    old, new = data.signature.inputs[0].shape, data.signature.output.shape
    channels = old[1] if axes == TO_NHWC else old[-1]
    return len(old) == 4 and channels == 1 and new == tuple(old[axis] for axis in axes)


def is_channels_last(data: Node) -> bool:
    """Whether an operator moves the channels of an image or a sequence behind its pixels."""
    if is_transpose(data, TO_NHWC) or _is_one_channel(data):
        return True
    return data.operator == "dero.transpose" and moved_channels(data) == "last"


def _is_one_channel(data: Node) -> bool:
    """Whether a sequence of one channel, [1, 1, L], is made an image."""
    if data.operator != "dero.reshape":
        return False
    old, new = data.signature.inputs[0].shape, data.signature.output.shape
    return len(old) == 3 and old[:2] == (1, 1) and new in ((1, old[2], 1, 1), (1, 1, old[2], 1))


def moved_channels(data: Node) -> str:
    """``last`` or ``first``, where a transpose moves the first or last axis; "" elsewhere."""
    old = data.signature.inputs[0].shape
    moved = [axis for axis in data.signature["axes"] if old[axis] != 1]
    order = sorted(moved)
    if len(order) > 1 and moved == [*order[1:], order[0]]:
        return "last"
    if len(order) > 1 and moved == [order[-1], *order[:-1]]:
        return "first"
    return ""


def squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape without the axes of length 1."""
    return tuple(length for length in shape if length != 1)
