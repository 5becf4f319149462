"""Names by which a caller can tell a model's inputs, and its outputs, apart."""

from __future__ import annotations

from collections.abc import Iterable


def distinct_names(names: Iterable[str]) -> tuple[str, ...]:
    """`names`, of which the second one called ``y`` is ``y_1``, or has the next free number.

    One tensor may be several outputs, and not every format asks for different names.
    """
    given = tuple(names)
    distinct: list[str] = []
    for name in given:
        candidate, number = name, 0
        while candidate in distinct or (number and candidate in given):
            number += 1
            candidate = f"{name}_{number}"
        distinct.append(candidate)
    return tuple(distinct)
