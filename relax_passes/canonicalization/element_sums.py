"""What a chain of moves and sums computes, element by element.

Reshaping, transposing, slicing, padding, stacking and adding up along an axis are moves of
elements and sums of them, in whatever shapes the author of a network liked.  An `ElementSum` holds
for every element e of a tensor what it amounts to:

    sum over terms of coefficient[e] * element number[e]  +  offset[e]

Elements of the tensors that the chain begins with, its *sources*, are numbered one source after
the other.  A move of the tensor is the same move of these arrays of numbers, so that every
operator is its NumPy counterpart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import product
from typing import Any

import numpy as np

ABSENT = -1

Move = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class ElementTerm:
    """One summand of every element; `coefficients` is a number or has the shape of `numbers`."""

    numbers: np.ndarray  # int64, ABSENT where the summand is missing
    coefficients: np.ndarray  # float64

    def moved(self, move: Move, fill: Move | None = None) -> ElementTerm:
        """After a move; `fill` is the same for numbers, if it brings in unknown elements."""
        moved = (fill or move)(self.numbers)
        if self.coefficients.ndim == 0:
            return ElementTerm(moved, self.coefficients)
        return ElementTerm(moved, move(self.coefficients))

    def scaled(self, factor: np.ndarray) -> ElementTerm:
        coefficients = self.coefficients * factor
        if coefficients.ndim:
            coefficients = np.broadcast_to(coefficients, self.numbers.shape)
        return ElementTerm(self.numbers, coefficients)

    @property
    def spread(self) -> np.ndarray:
        """A coefficient for every element."""
        return np.broadcast_to(self.coefficients, self.numbers.shape)


@dataclass(frozen=True, eq=False)
class ElementSum:
    """A tensor; see the module's docstring."""

    terms: tuple[ElementTerm, ...]
    offset: np.ndarray  # float64

    @staticmethod
    def of(first: int, shape: Sequence[int]) -> ElementSum:
        """A source whose elements are numbered from `first` on."""
        count = int(np.prod(shape))
        numbers = np.arange(first, first + count).reshape(tuple(shape))
        return ElementSum((ElementTerm(numbers, np.float64(1.0)),), np.zeros(tuple(shape)))

    @staticmethod
    def constant(values: np.ndarray) -> ElementSum:
        """Numbers that are known."""
        return ElementSum((), np.asarray(values, np.float64))

    @property
    def shape(self) -> tuple[int, ...]:
        return self.offset.shape

    @property
    def cost(self) -> int:
        """Numbers that this holds."""
        return self.offset.size * (1 + len(self.terms))

    @property
    def only_moves(self) -> bool:
        """Whether every element is one element of a source, or known."""
        present = np.zeros(self.shape, np.int64)
        for term in self.terms:
            here = term.numbers != ABSENT
            present += here
            if (term.spread[here] != 1.0).any():
                return False
        return bool((present <= 1).all() and not self.offset[present == 1].any())

    def moved(self, move: Move) -> ElementSum:
        """After an operator that moves elements."""
        return ElementSum(tuple(term.moved(move) for term in self.terms), move(self.offset))

    def padded(self, widths: Sequence[tuple[int, int]], value: float) -> ElementSum:
        """With known elements around it."""

        def absent(array: np.ndarray) -> np.ndarray:
            return np.pad(array, widths, constant_values=ABSENT)

        def nothing(array: np.ndarray) -> np.ndarray:
            return np.pad(array, widths)

        terms = tuple(term.moved(nothing, absent) for term in self.terms)
        return ElementSum(terms, np.pad(self.offset, widths, constant_values=value))

    def scaled(self, factor: np.ndarray) -> ElementSum:
        """Times numbers that broadcast to its shape."""
        factor = np.asarray(factor, np.float64)
        if factor.size == 1:
            factor = factor.reshape(())
        terms = tuple(term.scaled(factor) for term in self.terms)
        return ElementSum(terms, self.offset * factor)

    def shifted(self, summand: np.ndarray) -> ElementSum:
        """Plus numbers that broadcast to its shape."""
        return ElementSum(self.terms, self.offset + summand)

    def plus(self, other: ElementSum) -> ElementSum:
        """The sum of two tensors of one shape."""
        return ElementSum(self.terms + other.terms, self.offset + other.offset)

    def summed(self, axis: int) -> ElementSum:
        """The sum along an axis, which goes."""

        def part(index: int) -> ElementSum:
            return self.moved(lambda a: a.take(index, axis))

        return total([part(index) for index in range(self.shape[axis])])

    def places(
        self,
        size: Sequence[int],
        strides: Sequence[int],
        padding: Sequence[int],
        dilation: Sequence[int] | None = None,
    ) -> Iterator[tuple[tuple[int, ...], ElementSum]]:
        """What lies at each place of windows along the last axes, as many as `size` has.

        `padding` is that before each of these axes, then that behind each.
        """
        axes = len(size)
        dilation = dilation or [1] * axes
        frame = [(0, 0)] * (len(self.shape) - axes)
        image = self.padded([*frame, *zip(padding[:axes], padding[axes:])], 0.0)
        counts = [
            (length - (window - 1) * step - 1) // stride + 1
            for length, window, stride, step in zip(image.shape[-axes:], size, strides, dilation)
        ]
        for place in product(*(range(window) for window in size)):
            slices: tuple[Any, ...] = (
                ...,
                *(
                    slice(index * step, index * step + (count - 1) * stride + 1, stride)
                    for index, step, count, stride in zip(place, dilation, counts, strides)
                ),
            )
            yield place, image.moved(lambda a: a[slices])  # noqa: B023

    def windows(
        self, size: Sequence[int], strides: Sequence[int], padding: Sequence[int]
    ) -> ElementSum:
        """Sums of windows along the last axes; see `places`."""
        return total([value for _, value in self.places(size, strides, padding)])

    def mixed(self, matrix: np.ndarray, axis: int) -> ElementSum:
        """``out[o] = sum over c of matrix[o, c] * self[c]`` along an axis."""
        used = matrix != 0.0
        order = np.argsort(~used, axis=1, kind="stable")[:, : max(int(used.sum(1).max()), 1)]
        weights = np.take_along_axis(matrix, order, 1)
        spread = (-1,) + (1,) * (len(self.shape) - 1 - axis)

        def part(index: int) -> ElementSum:
            factor = weights[:, index].reshape(spread)
            chosen = self.moved(lambda a: a.take(order[:, index], axis))
            return chosen.only(factor != 0.0).scaled(factor)

        return total([part(index) for index in range(order.shape[1])])

    def only(self, mask: np.ndarray) -> ElementSum:
        """With terms where `mask` says so."""
        terms = (
            ElementTerm(np.where(mask, term.numbers, ABSENT), term.coefficients)
            for term in self.terms
        )
        return ElementSum(tuple(terms), np.where(mask, self.offset, 0.0))


def total(parts: Sequence[ElementSum]) -> ElementSum:
    """The sum of tensors of one shape."""
    terms = tuple(term for part in parts for term in part.terms)
    return ElementSum(terms, reduce(np.add, (part.offset for part in parts)))


def joined(parts: Sequence[ElementSum], axis: int) -> ElementSum:
    """Tensors after one another along an axis."""
    terms = []
    for index in range(max(len(part.terms) for part in parts)):
        present = [part.terms[index] if index < len(part.terms) else None for part in parts]
        numbers = [
            np.full(part.shape, ABSENT) if term is None else term.numbers
            for part, term in zip(parts, present)
        ]
        factors = {float(t.coefficients) for t in present if t and t.coefficients.ndim == 0}
        if len(factors) == 1 and all(t is None or t.coefficients.ndim == 0 for t in present):
            coefficients = np.float64(factors.pop())
        else:
            coefficients = np.concatenate(
                [
                    np.ones(part.shape) if term is None else term.spread
                    for part, term in zip(parts, present)
                ],
                axis,
            )
        terms.append(ElementTerm(np.concatenate(numbers, axis), coefficients))
    return ElementSum(tuple(terms), np.concatenate([part.offset for part in parts], axis))
