"""An order in which operators find their operands, or the circle that leaves no order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence

from dero_tvm.boundary.errors import UserError

_MOST_NAMES = 6  # of the tensors of a circle that a message lists


def execution_order(
    operands: Sequence[Iterable[str]],
    makers: Mapping[str, int],
    label: str,
    title: Callable[[int], str],
) -> list[int]:
    """Positions in the order to run; an order that is right already stays.

    `operands` are the names that the operator at each position reads, `makers` the positions of
    the operators that compute tensors; `title` names an operator in messages.  Raises
    :class:`UserError` for tensors that depend on themselves.
    """
    needed = [[name for name in dict.fromkeys(names) if name in makers] for names in operands]
    if not late_operands(needed, makers):
        return list(range(len(needed)))
    waiting = [len(names) for names in needed]  # operands of each that are not computed yet
    readers: dict[str, list[int]] = {}
    for position, names in enumerate(needed):
        for name in names:
            readers.setdefault(name, []).append(position)
    results: dict[int, list[str]] = {}
    for name, maker in makers.items():
        results.setdefault(maker, []).append(name)
    ready = deque(position for position, count in enumerate(waiting) if not count)
    order: list[int] = []
    while ready:
        position = ready.popleft()
        order.append(position)
        for name in results.get(position, ()):
            for reader in readers.get(name, ()):
                waiting[reader] -= 1
                if not waiting[reader]:
                    ready.append(reader)
    if len(order) < len(needed):
        circle = _circle(needed, makers, waiting)
        raise UserError(
            f"{label}: tensors depend on themselves: {_listed(circle)}, where "
            f"{title(makers[circle[0]])} computes {circle[0]!r}; a network without loops is needed"
        )
    return order


def late_operands(
    operands: Sequence[Iterable[str]], makers: Mapping[str, int]
) -> list[tuple[int, str]]:
    """Positions and names of operands that are not computed before the operator that reads them."""
    return [
        (position, name)
        for position, names in enumerate(operands)
        for name in names
        if makers.get(name, -1) >= position
    ]


def _circle(
    needed: Sequence[list[str]], makers: Mapping[str, int], waiting: Sequence[int]
) -> list[str]:
    """Names of tensors of which each depends on the next, and the last on the first."""
    names: list[str] = []
    seen: dict[int, int] = {}
    position = next(p for p, count in enumerate(waiting) if count)
    while position not in seen:
        seen[position] = len(names)
        name = next(name for name in needed[position] if waiting[makers[name]])
        names.append(name)
        position = makers[name]
    # Tensors passed on the way to the circle are not of it.
    return names[seen[position] :]


def _listed(circle: Sequence[str]) -> str:
    """The names from the first back to the first."""
    listed = [repr(name) for name in [*circle, circle[0]]]
    if len(listed) > _MOST_NAMES:
        listed[_MOST_NAMES - 1 : -1] = ["..."]
    return " <- ".join(listed)
