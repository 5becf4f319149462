"""What the experiment consists of: pieces, each with a result of its own in the results' folder.

A piece needs the results of others: a network that inherits weights needs the trained original,
an accuracy in int8 the network.  `wanted` lists the pieces of a choice with all that they need, in
an order in which they can be made.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from .families import FAMILIES, FORMS, Family, Form

Start = Literal["scratch", "inherited", "calibrated", "distilled"]
STARTS: tuple[Start, ...] = ("scratch", "inherited", "calibrated", "distilled")
"""Random weights; the trained original's; these, solved for on training images; and, with the
original as teacher, these again (of a plain twin the original's)."""

SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Network:
    """A form of a family's network with so many blocks a stage."""

    family: Family
    blocks: int
    form: Form

    @property
    def name(self) -> str:
        """In file names."""
        return f"{self.family.name}-{self.blocks}-{self.form}"

    @property
    def cost(self) -> float:
        """CPU seconds that an epoch of its training takes, about."""
        seconds = _EPOCH_SECONDS[self.family.name, self.form]
        return seconds * self.blocks / self.family.blocks


_EPOCH_SECONDS = {
    ("basic", "original"): 23,
    ("basic", "plain"): 24,
    ("basic", "reorganized"): 29,
    ("bottleneck", "original"): 29,
    ("bottleneck", "plain"): 24,
    ("bottleneck", "reorganized"): 44,
}


@dataclass(frozen=True)
class Piece:
    """What all pieces have."""

    network: Network

    @property
    def name(self) -> str:
        """Of its result: `<name>.json`."""
        raise NotImplementedError

    @property
    def needs(self) -> tuple[Piece, ...]:
        """The pieces whose results it reads."""
        raise NotImplementedError

    def cost(self, epochs: int) -> float:
        """CPU seconds, about."""
        raise NotImplementedError


@dataclass(frozen=True)
class Training(Piece):
    """A network trained from one start with one seed."""

    start: Start
    seed: int

    @property
    def name(self) -> str:
        return f"{self.network.name}-{self.start}-{self.seed}"

    @property
    def needs(self) -> tuple[Piece, ...]:
        if self.start == "scratch":
            return ()
        original = Network(self.network.family, self.network.blocks, "original")
        return (Training(original, "scratch", self.seed),)

    def cost(self, epochs: int) -> float:
        return self.network.cost * epochs * (1.4 if self.start == "distilled" else 1)


@dataclass(frozen=True)
class _OfTraining(Piece):
    """What is measured of a trained network."""

    training: Training
    kind: ClassVar[str]
    share: ClassVar[float]  # of the CPU seconds of one epoch

    @property
    def name(self) -> str:
        return f"{self.training.name}.{self.kind}"

    @property
    def needs(self) -> tuple[Piece, ...]:
        return (self.training,)

    def cost(self, epochs: int) -> float:
        return self.share * self.network.cost


@dataclass(frozen=True)
class Quantized(_OfTraining):
    """The accuracy of a trained network in int8."""

    kind, share = "int8", 1


@dataclass(frozen=True)
class Arena(_OfTraining):
    """The planned memory of a network in int8."""

    share = 2

    @property
    def name(self) -> str:
        return f"{self.network.name}.arena"


@dataclass(frozen=True)
class OnBoard(_OfTraining):
    """Test images classified by the compiled network on an emulated board."""

    kind, share = "board", 4


def starts(form: Form) -> tuple[Start, ...]:
    """Those that a form is trained from.

    The original, trained once more from its own weights, shows what a second training alone does.
    Without a shortcut nothing carries a block's input to its end, so the plain twin has no weights
    that could be solved for.
    """
    if form == "original":
        return ("scratch", "inherited")
    return STARTS if form == "reorganized" else ("scratch", "inherited", "distilled")


def all_pieces() -> Iterator[Piece]:
    """The whole experiment, the most important pieces first."""
    families = FAMILIES.values()
    usual = [(family, family.blocks, seed) for seed in SEEDS for family in families]
    others = [(family, family.blocks // 2, SEEDS[0]) for family in families]
    others += [(family, 2 * family.blocks, SEEDS[0]) for family in families]
    for networks in (usual, others):
        for heirs in (False, True):
            for family, blocks, seed in networks:
                yield from _pieces(family, blocks, seed, heirs)


def _pieces(family: Family, blocks: int, seed: int, heirs: bool) -> Iterator[Piece]:
    for form in FORMS:
        network = Network(family, blocks, form)
        for start in starts(form):
            if (start != "scratch") != heirs:
                continue
            training = Training(network, start, seed)
            yield training
            yield Quantized(network, training)
            if start == "scratch" and seed == SEEDS[0]:
                yield Arena(network, training)
                if form == "reorganized" and blocks == family.blocks:
                    yield OnBoard(network, training)


@dataclass(frozen=True)
class Choice:
    """Which pieces are wanted; None stands for all."""

    family: str | None = None
    blocks: int | None = None
    form: str | None = None
    start: str | None = None
    seed: int | None = None

    def has(self, piece: Piece) -> bool:
        """Whether the piece is one of them."""
        training = piece if isinstance(piece, Training) else piece.training  # type: ignore[attr-defined]
        values = {
            "family": piece.network.family.name,
            "blocks": piece.network.blocks,
            "form": piece.network.form,
            "start": training.start,
            "seed": training.seed,
        }
        return all(getattr(self, name) in (None, value) for name, value in values.items())


def wanted(choice: Choice, done: Collection[str] = ()) -> list[Piece]:
    """The chosen pieces that are not `done`, with those that they need, each behind its needs."""
    found: dict[str, Piece] = {}

    def add(piece: Piece) -> None:
        if piece.name in found or piece.name in done:
            return
        for needed in piece.needs:
            add(needed)
        found[piece.name] = piece

    for piece in all_pieces():
        if choice.has(piece):
            add(piece)
    return list(found.values())
