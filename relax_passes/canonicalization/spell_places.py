"""`SpellPlaces`: elements read from, and written to, places that are constant.

    gather_elements(x, i, axis), gather_nd(x, i)    ->   take(x, places, an axis)
    scatter(x, i, updates)                          ->   where(written, take(updates, places), x)
    scatter(x, i, updates, "add")                   ->   where(written, x + take(...), x)
    scatter_elements(x, computed, updates)          ->   scatter_nd, of updates that are shorter

`scatter` is one of `scatter_elements`, `scatter_nd` and `slice_scatter`.  Where the places are
those of whole slices, `take` is along their axis, and rows go on one by one; else it counts through
all elements.  Of updates that go to one place several times each has a line of its own.

Precondition: `SpellShortcuts`, which reads scatters of shortcuts as they are.  Does not handle:
more than four updates of one place; those and computed places stay operators that TVM compiles.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from tvm import relax

from ..ir.dataflow import Dataflow, DataflowRewriter, dtype_of, is_call, shape_of
from ..ir.rewriting_pass import rewriting_pass
from ..operators.rules.registry import Rules

NAME = "SpellPlaces"
_MOST_ROUNDS = 4

KnownValues = Callable[[Any], np.ndarray | None]
"""The indices in an operand, int64; None if they are computed."""

READ_PLACES: Rules[Callable[[Any, KnownValues], np.ndarray | None]] = Rules(NAME)
"""For each element of a call's result the element of its first operand that it is, counted row by
row; None where that is computed.  `IndexError` for what is outside.
"""
WRITTEN_PLACES: Rules[Callable[[Any, KnownValues], np.ndarray | None]] = Rules(f"{NAME}'s scatters")
"""For each of the updates the element of the first operand that it is written to, likewise."""

_REDUCTIONS = {
    "add": relax.op.add,
    "mul": relax.op.multiply,
    "min": relax.op.minimum,
    "max": relax.op.maximum,
}


def numbered(call: Any) -> np.ndarray:
    """The number of each element of the first operand."""
    shape = shape_of(call.args[0])
    return np.arange(prod(shape)).reshape(shape)


def along_axis(call: Any, indices: np.ndarray) -> np.ndarray:
    """The numbers of the elements at `indices` along the call's axis; other axes may be shorter."""
    axis = int(call.attrs.axis) % indices.ndim
    part = tuple(
        slice(None) if other == axis else slice(length)
        for other, length in enumerate(indices.shape)
    )
    return np.take_along_axis(numbered(call)[part], indices, axis)


def written_places(call: Any, old: Dataflow) -> np.ndarray | None:
    """What the rule in `WRITTEN_PLACES` says; None also for places outside of the data."""
    return _places(WRITTEN_PLACES, call, old)


def updates_of(call: Any) -> Any:
    """The operand of a scatter that is written."""
    return call.args[1 if call.op.name == "relax.slice_scatter" else 2]


def reduction_of(call: Any) -> str:
    """What becomes of an element and an update: ``update``, ``add``, ``mul``, ``min``, ``max``."""
    return str(getattr(call.attrs, "reduction", "update"))


def rounds(targets: np.ndarray, size: int) -> list[np.ndarray]:
    """For every place the index that is written to it, or -1: first, second and further ones."""
    order = np.argsort(targets, kind="stable")
    ordered = targets[order]
    begins = np.searchsorted(ordered, ordered)
    times = np.arange(len(ordered)) - begins
    found = []
    for time in range(int(times.max(initial=-1)) + 1):
        index = np.full(size, -1)
        index[ordered[times == time]] = order[times == time]
        found.append(index)
    return found


class _Rewriter(DataflowRewriter):
    def rewrite(self, var: relax.Var, expr: relax.Expr) -> relax.Expr | None:
        if READ_PLACES.get(expr) is not None:
            return self._read(expr)
        return self._written(expr) if WRITTEN_PLACES.get(expr) is not None else None

    def _read(self, call: Any) -> relax.Expr | None:
        places = _places(READ_PLACES, call, self.old)
        if places is None or not places.size:
            return None
        return self._picked(call.args[0], places)[0]

    def _written(self, call: Any) -> relax.Expr | None:
        if is_call(call, "relax.scatter_elements") and self.old.constant(call.args[1]) is None:
            return self._by_all_axes(call)
        targets, reduction = written_places(call, self.old), reduction_of(call)
        updates, shape = updates_of(call), tuple(shape_of(call))
        if targets is None or targets.shape != tuple(shape_of(updates)) or not targets.size:
            return None
        if reduction != "update" and reduction not in _REDUCTIONS:
            return None
        times = rounds(targets.ravel(), prod(shape))
        if len(times) > _MOST_ROUNDS:
            return None
        data = self.new(call.args[0])
        for index in times:
            new, written = self._picked(updates, index.reshape(shape))
            if reduction != "update":
                new = self.emit(_REDUCTIONS[reduction](data, new))
            if not written.all():
                new = self.emit(relax.op.where(relax.const(written), new, data))
            data = new
        return data

    def _by_all_axes(self, call: Any) -> relax.Expr | None:
        """Computed places along an axis, with those along the others beside them.

        TVM's kernel takes the updates for as long as the data along the other axes.
        """
        data, indices, updates = map(self.new, call.args)
        shape, axis = shape_of(indices), int(call.attrs.axis) % len(shape_of(call))
        if all(
            a == axis or one == other for a, (one, other) in enumerate(zip(shape, shape_of(call)))
        ):
            return None
        kind = dtype_of(indices)
        grid = [np.ascontiguousarray(numbers, kind)[..., None] for numbers in np.indices(shape)]
        apart = [relax.const(numbers, kind) for numbers in grid]
        apart[axis] = self.emit(relax.op.reshape(indices, (*shape, 1)))
        places = self.emit(relax.op.concat(apart, -1))
        return relax.op.scatter_nd(data, places, updates, reduction_of(call))

    def _picked(self, operand: Any, places: np.ndarray) -> tuple[relax.Expr, np.ndarray]:
        """The elements of an old tensor at `places`, and where there are any: those from 0 on.

        The second has an axis of length 1 where it is the same for all.
        """
        data, shape = self.new(operand), tuple(shape_of(operand))
        found = _whole_slices(places, shape)
        if found is not None:
            axis, lines = found
            if not np.array_equal(lines, np.arange(shape[axis])):
                data = self.emit(relax.op.take(data, _indices(lines), axis))
            return data, _along(axis, lines >= 0, places.ndim)
        flat = self.emit(relax.op.reshape(data, (prod(shape),)))
        taken = self.emit(relax.op.take(flat, _indices(places.ravel()), 0))
        return self.emit(relax.op.reshape(taken, places.shape)), places >= 0


def _whole_slices(places: np.ndarray, shape: tuple[int, ...]) -> tuple[int, np.ndarray] | None:
    """An axis along which all of `places` are those of slices of a tensor, and their numbers.

    A slice that is not there has the number -1.
    """
    elements = np.arange(prod(shape)).reshape(shape)
    for axis in range(places.ndim):
        if [*places.shape[:axis], *places.shape[axis + 1 :]] != [*shape[:axis], *shape[axis + 1 :]]:
            continue
        first = places[tuple(slice(None) if a == axis else 0 for a in range(places.ndim))]
        stride = prod(shape[axis + 1 :])
        lines = np.where(first < 0, -1, first // stride)
        if lines.max() >= shape[axis]:
            continue
        slices = elements.take(np.maximum(lines, 0), axis)
        present = _along(axis, lines >= 0, places.ndim)
        if np.array_equal(np.where(present, slices, -1), places):
            return axis, lines
    return None


def _along(axis: int, values: np.ndarray, rank: int) -> np.ndarray:
    return values.reshape([-1 if other == axis else 1 for other in range(rank)])


def _indices(places: np.ndarray) -> relax.Expr:
    return relax.const(np.ascontiguousarray(np.maximum(places, 0), "int32"))


def _places(rules: Rules, call: Any, old: Dataflow) -> np.ndarray | None:
    def known(operand: Any) -> np.ndarray | None:
        constant = old.constant(operand)
        return None if constant is None else constant.values.astype(np.int64)

    rule = rules.get(call)
    try:
        return None if rule is None else rule(call, known)
    except IndexError:
        return None


SpellPlaces = rewriting_pass(NAME, _Rewriter)
"""Module pass: see the file's docstring."""
