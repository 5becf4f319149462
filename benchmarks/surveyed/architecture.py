"""An architecture: a name, a family, and how it is built in PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

IMAGE = (1, 3, 64, 64)


@dataclass(frozen=True)
class Architecture:
    """`build` gives a `torch.nn.Module`; `shape` is that of its one input."""

    name: str
    family: str
    build: Callable[[], Any]
    shape: tuple[int, ...] = IMAGE


class Family:
    """Architectures by name, as decorated functions give them."""

    def __init__(self) -> None:
        self.architectures: dict[str, Architecture] = {}

    def add(
        self, name: str, family: str, build: Callable[[], Any], shape: tuple[int, ...] = IMAGE
    ) -> None:
        """One more; ValueError if the name is taken."""
        if name in self.architectures:
            raise ValueError(f"two architectures are called {name}")
        self.architectures[name] = Architecture(name, family, build, shape)

    def network(
        self, family: str, shape: tuple[int, ...] = IMAGE
    ) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
        """Decorator of a function that builds a network, which gets the function's name."""

        def decorate(build: Callable[[], Any]) -> Callable[[], Any]:
            self.add(build.__name__, family, build, shape)
            return build

        return decorate
