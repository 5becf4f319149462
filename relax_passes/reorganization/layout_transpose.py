"""Where a network transposes images, in whatever way it says so."""

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
