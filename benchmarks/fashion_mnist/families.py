"""The families of networks that are compared, and the forms that each has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Form = Literal["original", "plain", "reorganized"]
FORMS: tuple[Form, ...] = ("original", "plain", "reorganized")


@dataclass(frozen=True)
class Family:
    """Blocks of one kind, `blocks` in each stage, with so many channels at their ends.

    A bottleneck has a fourth of them inside.
    """

    name: str
    widths: tuple[int, int, int]
    blocks: int

    @property
    def is_bottleneck(self) -> bool:
        """Whether its blocks are pointwise, 3x3, pointwise."""
        return self.name == "bottleneck"


FAMILIES = {
    family.name: family
    for family in (Family("basic", (8, 16, 32), 6), Family("bottleneck", (32, 64, 128), 4))
}
