"""How a tensor's elements lie in memory, while its axes are renamed, split and merged for free.

A tensor has *native* axes (those that the network's operators speak of) and a *stored* order.
Both are made of the same **factors**: stored memory is a list of factors, outermost first, and
each native axis is a product of some of them.  An NCHW tensor that a channels-last convolution
wrote, and whose channels a channel shuffle then splits into groups of members::

    stored factors     0:H  1:W  2:group  3:member
    native axes        N = ()   C = (2, 3)   H = (0,)   W = (1,)

Transposing renames native axes; reshaping regroups (and splits) factors; neither moves an element.
Only where an operator demands an order that differs from the stored one must elements move, once,
however many transposes and reshapes the network wrote in between.  Axes of length one have no
factors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod


@dataclass(frozen=True)
class Layout:
    """The native shape of a tensor and where its elements are stored."""

    shape: tuple[int, ...]
    sizes: tuple[int, ...]  # lengths of the stored factors, outermost first
    axes: tuple[tuple[int, ...], ...]  # for every native axis its factors, outermost first

    @staticmethod
    def native(shape: Sequence[int]) -> Layout:
        """Stored in native order."""
        return Layout.permuted(shape, range(len(shape)))

    @staticmethod
    def permuted(shape: Sequence[int], order: Sequence[int]) -> Layout:
        """Stored as ``permute_dims(native, order)``."""
        stored = [axis for axis in order if shape[axis] > 1]
        axes = [(stored.index(a),) if shape[a] > 1 else () for a in range(len(shape))]
        return Layout(tuple(shape), tuple(shape[a] for a in stored), tuple(axes))

    def transposed(self, axes: Sequence[int]) -> Layout:
        """After ``permute_dims(native, axes)``: the same memory, other names."""
        return Layout(
            tuple(self.shape[a] for a in axes), self.sizes, tuple(self.axes[a] for a in axes)
        )

    def reshaped(self, shape: Sequence[int]) -> Layout | None:
        """After ``reshape(native, shape)``, or None if a new axis straddles a factor's border."""
        sizes = dict(enumerate(self.sizes))
        stored = list(sizes)
        pending = [factor for axis in self.axes for factor in axis]
        axes: list[list[int]] = []
        for length in shape:
            axis: list[int] = []
            while length > 1:
                factor = pending[0]
                if length % sizes[factor] == 0:
                    length //= sizes[factor]
                    axis.append(pending.pop(0))
                elif sizes[factor] % length == 0:
                    outer, inner = len(sizes), len(sizes) + 1
                    sizes[outer], sizes[inner] = length, sizes[factor] // length
                    position = stored.index(factor)
                    stored[position : position + 1] = [outer, inner]
                    pending[0] = inner
                    axis.append(outer)
                    length = 1
                else:
                    return None
            axes.append(axis)
        number = {factor: i for i, factor in enumerate(stored)}
        return Layout(
            tuple(shape),
            tuple(sizes[factor] for factor in stored),
            tuple(tuple(number[factor] for factor in axis) for axis in axes),
        )

    def order(self, axes: Sequence[int]) -> tuple[int, ...]:
        """The factors in the order that native axes `axes` put them."""
        return tuple(factor for axis in axes for factor in self.axes[axis])

    def is_stored_in(self, axes: Sequence[int]) -> bool:
        """True if memory already holds the native axes in this order."""
        return self.order(axes) == tuple(range(len(self.sizes)))

    def is_innermost(self, axis: int) -> bool:
        """True if the elements of a native axis lie side by side, in its order."""
        count, own = len(self.sizes), self.axes[axis]
        return own == tuple(range(count - len(own), count))

    def with_innermost(self, length: int) -> Layout:
        """With `length` elements in place of the last native axis, behind all others in memory.

        Precondition: that axis has the last factors.
        """
        lead = len(self.sizes) - len(self.axes[-1])
        last: tuple[int, ...] = (lead,) if length > 1 else ()
        sizes = self.sizes[:lead] + (length,) * len(last)
        return Layout((*self.shape[:-1], length), sizes, (*self.axes[:-1], last))

    def compact_order(self) -> tuple[int, ...]:
        """The native axes in the order in which memory meets them first."""
        first = [axis[0] if axis else None for axis in self.axes]
        occupied = sorted((f, a) for a, f in enumerate(first) if f is not None)
        if len(self.shape) == 4 and self.axes[0] == ():
            return (0, *self._with_units([a for _, a in occupied], [1, 2, 3]))
        return tuple(self._with_units([a for _, a in occupied], list(range(len(self.shape)))))

    def _with_units(self, occupied: list[int], axes: list[int]) -> list[int]:
        """`occupied` with the axes of length one where they disturb least: in front."""
        return [a for a in axes if a not in occupied] + occupied

    def permutation(self, stored_shape: Sequence[int]) -> tuple[int, ...] | None:
        """The order of native axes that a tensor of this stored shape has, or None.

        None means that memory mixes the axes, or that the stored shape groups them otherwise.
        """
        if len(stored_shape) != len(self.shape):
            return None
        units = [a for a, length in enumerate(self.shape) if length == 1]
        owner = {axis[0]: a for a, axis in enumerate(self.axes) if axis}
        result, factor = [], 0
        for length in stored_shape:
            if length == 1:
                if not units:
                    return None
                result.append(units.pop(0))
                continue
            axis = owner.get(factor)
            if axis is None or self.shape[axis] != length:
                return None
            if self.axes[axis] != tuple(range(factor, factor + len(self.axes[axis]))):
                return None
            result.append(axis)
            factor += len(self.axes[axis])
        return tuple(result)

    def runs(self, axes: Sequence[int]) -> tuple[list[int], list[int]]:
        """Stored shape and transpose that bring memory into the order of `axes`.

        Factors that stay neighbours move as one, so the transpose has as few axes as it can.
        """
        target = self.order(axes)
        starts = [
            f for i, f in enumerate(target) if i == 0 or target[i - 1] != f - 1
        ]  # first factors of the runs, in target order
        ordered = sorted(starts)
        bounds = [*ordered, len(self.sizes)]
        shape = [prod(self.sizes[b:e]) for b, e in zip(bounds, bounds[1:])]
        return shape, [ordered.index(start) for start in starts]
