"""Normalisations of each image by its own statistics: GroupNorm, LayerNorm, InstanceNorm.

Frontends spell them in many operators, some of which no other part of a network has.  What belongs
together is told by the layer of the model file that they come from: all that stands between the one
tensor that the layer reads and the one that it gives.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from ..ir.operator_graph import OperatorGraph

_MOST_ELEMENTS = 1 << 24  # whose places are followed
_STATISTICS = ("norm", "variance")
_OTHERS = ("lp", "l2", "batch")  # which divide by a length, or by what training fixed


@dataclass(frozen=True, eq=False)
class ImageNorm:
    """One normalisation, which `members` compute of `source`.

    Element i of the result, in its order, is `places[i]` of the source, normalised.
    """

    source: str
    result: str
    members: tuple[str, ...]
    places: np.ndarray


def is_image_norm(operator: str) -> bool:
    """Whether an operator's name says that it normalizes each image by its own statistics."""
    word = operator.lower()
    return any(part in word for part in _STATISTICS) and not any(part in word for part in _OTHERS)


def image_norms(graph: OperatorGraph) -> list[ImageNorm]:
    """The normalisations of a network that have one operand and one result."""
    layers: dict[object, list[str]] = {}
    for name in graph.operators_in_order():
        origin = graph[name].origin
        if origin is not None and is_image_norm(origin.operator):
            layers.setdefault(origin, []).append(name)
    return [norm for members in layers.values() if (norm := _norm(graph, members)) is not None]


def _norm(graph: OperatorGraph, members: list[str]) -> ImageNorm | None:
    inside = set(members)
    sources = {o for n in members for o in graph[n].computed_operands if o not in inside}
    results = {n for n in members if set(graph.readers(n)) - inside}
    if len(sources) != 1 or len(results) != 1:
        return None
    (source,), (result,) = sources, results
    shape = graph[source].spec.shape
    specs = [graph[name].known_spec for name in (source, *members)]
    if any(spec and prod(spec.shape) > _MOST_ELEMENTS for spec in specs):
        return None
    start = np.arange(prod(shape)).reshape(shape)
    places: dict[str, np.ndarray] = {source: start}
    for name in members:
        found = _moved(graph, name, places)
        if found is not None:
            places[name] = found
    if result not in places:
        return None
    return ImageNorm(source, result, tuple(members), places[result].ravel())


def _moved(graph: OperatorGraph, name: str, places: dict[str, np.ndarray]) -> np.ndarray | None:
    """Which element of the source stands where; None for what are not all of its elements."""
    data = graph[name]
    known = [places[o] for o in data.computed_operands if o in places]
    if not known or data.known_spec is None:
        return None
    shape = data.spec.shape
    if data.operator == "dero.reshape":
        return known[0].reshape(shape)
    if data.operator == "dero.transpose":
        return known[0].transpose(data.signature["axes"])
    return next((place for place in known if place.shape == shape), None)
