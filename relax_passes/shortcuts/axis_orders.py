"""Other orders of a tensor's axes, in which axes of length 1 come and go."""

from __future__ import annotations

from collections.abc import Sequence

from tvm import relax
from tvm.ir import GenericConst

Order = tuple[int | None, ...]
"""For each axis of the new tensor that of the old one, or None for one of length 1 that is put in.

Axes of the old tensor that are missing have length 1, and go.
"""


def before_reshape(order: Order, shape: tuple[int, ...], before: tuple[int, ...]) -> Order | None:
    """The order of a tensor `before` a reshape that gives `shape`, which has `order`.

    None if the reshape does more than to put in axes of length 1 and to leave such out.
    """
    long = [[axis for axis, length in enumerate(s) if length != 1] for s in (shape, before)]
    if [shape[axis] for axis in long[0]] != [before[axis] for axis in long[1]]:
        return None
    axes = dict(zip(*long))
    short = [[axis for axis, length in enumerate(s) if length == 1] for s in (shape, before)]
    axes |= dict(zip(*short))  # the batch is first, then channels if there is but one
    return tuple(None if axis is None else axes.get(axis) for axis in order)


def is_unchanged(shape: tuple[int, ...], order: Order) -> bool:
    """Whether a tensor in that order is what it was."""
    moved = long_axes(shape, order)
    return moved == sorted(moved) and ordered(shape, order, 1) == shape


def long_axes(shape: tuple[int, ...], order: Order) -> list[int]:
    """The axes that are longer than 1, in the new order."""
    return [axis for axis in order if axis is not None and shape[axis] != 1]


def ordered(values: Sequence[int], order: Order, filler: int) -> tuple[int, ...]:
    """Numbers that a tensor has for each axis, in the new order."""
    return tuple(filler if axis is None else values[axis] for axis in order)


def constant_ordered(arg: GenericConst, rank: int, order: Order) -> relax.Expr:
    """A constant operand of an operator on `rank` axes in the new order of axes."""
    values = arg.value.numpy()
    values = values.reshape((1,) * (rank - values.ndim) + values.shape)
    kept = tuple(axis for axis in order if axis is not None)
    kept += tuple(axis for axis in range(rank) if axis not in kept)  # of length 1
    shape = ordered(values.shape, order, 1)
    return relax.const(values.transpose(kept).reshape(shape).copy(), str(values.dtype))
