"""What an output written over dying inputs needs together with them."""

from __future__ import annotations

from collections.abc import Iterable
from operator import itemgetter


def least_span(output_size: int, inputs: Iterable[tuple[int, int]]) -> int:
    """Least bytes of an output together with dying inputs, given as (size, distance).

    Sort the inputs by distance.  The j-th and all behind it lie at or above `distance_j` of the
    output, or wholly below it, and share no byte with one another, so together with the output
    they cover at least `distance_j` plus their own bytes.  Stacking them in that order attains
    the largest of these bounds.
    """
    least, tail = output_size, 0
    for size, distance in sorted(inputs, key=itemgetter(1), reverse=True):
        tail += size
        least = max(least, min(max(distance, 0), output_size) + tail)
    return least
