"""What was done to a network when it was reorganized, as data."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import prod

from relax_passes.ir.decisions import Decision
from relax_passes.reorganization import description as net

from .joins import PartialChoice
from .kept_operators import is_trained, read_constants


@dataclass(frozen=True)
class ReportedShortcut:
    """A convolution, by its path in the network's ``state_dict``, and the steps of its shortcut."""

    convolution: str
    steps: tuple[str, ...]


@dataclass(frozen=True)
class ReorganizationReport:
    """See the fields.

    Attributes
    ----------
    model, kind
        The original network's name; ``reorganized`` or ``plain``.
    choices
        What the method leaves open, by name.
    decisions
        What became of each join, normalisation and stage width, and why.
    shortcuts
        The convolutions with a shortcut of their own.
    without_shortcut
        The convolutions without one.
    parameters_before, parameters
        Trained numbers of the original, with its normalisations folded into the convolutions, and
        of the network written, with its normalisations.
    inherited, initialized
        Weights and biases of convolutions, dense layers and kept operators that are the
        original's, and those drawn at random.
    arena_bytes
        Planned float32 arena with every tensor whole, in the best order, of ``original``,
        ``plain`` and ``reorganized``: everything counted, inputs and outputs too.
    partial
        Which joins were reorganized, if not all were to be.
    """

    model: str
    kind: str
    choices: Mapping[str, object]
    decisions: tuple[Decision, ...]
    shortcuts: tuple[ReportedShortcut, ...]
    without_shortcut: tuple[str, ...]
    parameters_before: int
    parameters: int
    inherited: int
    initialized: int
    arena_bytes: Mapping[str, int]
    partial: PartialChoice | None = None

    def to_json(self) -> str:
        """Indented JSON, ending in a line break."""
        return json.dumps(asdict(self), indent=2) + "\n"


def described_shortcuts(
    architecture: net.Architecture, paths: Mapping[str, str]
) -> tuple[tuple[ReportedShortcut, ...], tuple[str, ...]]:
    """The convolutions with and without a shortcut; `paths` maps nodes to modules."""
    convolutions = [node for node in architecture.nodes if isinstance(node, net.Convolution)]
    given = tuple(
        ReportedShortcut(paths[node.name], tuple(_described(node)))
        for node in convolutions
        if node.shortcut is not None
    )
    return given, tuple(paths[node.name] for node in convolutions if node.shortcut is None)


def _described(node: net.Convolution) -> Sequence[str]:
    """The steps in words, without the normalisations."""
    assert node.shortcut is not None
    steps = []
    for step in node.shortcut.steps:
        if isinstance(step, net.PoolWindow):
            kernel = "x".join(map(str, step.window.kernel))
            strides = "x".join(map(str, step.window.strides))
            steps.append(f"{step.kind} over {kernel} windows, stride {strides}")
        elif isinstance(step, net.MatchChannels):
            verb = "filled up" if step.in_channels < step.out_channels else "folded"
            steps.append(f"{step.in_channels} channels {verb} to {step.out_channels}")
    return steps or ["identity"]


def inheritance(architecture: net.Architecture) -> tuple[int, int]:
    """Numbers of weights and biases that are the original's, and that are drawn."""
    inherited = initialized = 0
    for node in architecture.nodes:
        if isinstance(node, net.Dense):
            size = node.in_channels * node.out_channels + node.out_channels
        elif isinstance(node, net.Convolution):
            biased = node.bias or node.norm == "after"
            size = prod(node.weight_shape) + node.out_channels * biased
        elif isinstance(node, net.KeptOperator):
            inherited += sum(
                prod(shape)
                for place, shape in read_constants(node)
                if is_trained(node, place, shape)
            )
            continue
        else:
            continue
        if node.inherited:
            inherited += size
        else:
            initialized += size
    return inherited, initialized
