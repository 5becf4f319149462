"""RefineOperators: one width for each stage that lost concatenations, by its parameters.

A DenseNet without its concatenations is a chain as wide as its growth.  Every stage that
``ReorganizeResiduals`` (or ``RemoveResiduals``) marked with a budget, the number of convolution
weights that it had in the original, gets one width W for all convolutions whose results only went
into concatenations: the multiple of 4 with which the stage's convolutions have closest to that
number of weights.  Stages are taken in order, as each one reads the width of the one before.

Shortcuts and normalisations are made anew for the new widths; weights whose shape changed are
drawn (`start_weights`).  A network without such stages is returned as it is.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import replace
from math import prod

import tvm

from ..ir.decisions import Decision, record
from .attribute import read_reorganization, write_reorganization
from .channel_widths import propagate
from .description import AnyNode, Architecture, Convolution, Reorganization, Stage
from .give_shortcuts import give_shortcuts, image_shapes
from .start_weights import start_weights

MULTIPLE = 4
_WIDEST = 4096


@tvm.transform.module_pass(opt_level=0, name="RefineOperators")
class RefineOperators:
    """The pass; see the module's docstring.

    Raises ``ValueError`` for a module on which neither pass above has run.
    """

    def transform_module(
        self, mod: tvm.IRModule, _context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        """Return the network with refined widths."""
        network = read_reorganization(mod)
        refined, decisions = refine(network.architecture)
        if not decisions:
            return mod
        weights = start_weights(refined, network.weights)
        return record(write_reorganization(mod, Reorganization(refined, weights)), decisions)


def refine(architecture: Architecture) -> tuple[Architecture, list[Decision]]:
    """The architecture with refined widths, and what was chosen for each stage."""
    widths: dict[str, int] = {}
    decisions = []
    for stage in architecture.stages:
        free = [n.name for n in stage.nodes if isinstance(n, Convolution) and n.refinable]
        if stage.budget is None or not free:
            continue
        width, weights = _closest(architecture, stage, stage.budget, widths, free)
        widths |= dict.fromkeys(free, width)
        reason = f"{weights:,} convolution weights, {stage.budget:,} in the original"
        decisions.append(Decision("RefineOperators", stage.name, f"{width} channels", reason))
    if not decisions:
        return architecture, []
    return give_shortcuts(_with(architecture, widths), architecture.choices), decisions


def _closest(
    architecture: Architecture, stage: Stage, budget: int, widths: dict[str, int], free: list[str]
) -> tuple[int, int]:
    """The width of the convolutions `free` for the budget, and the weights that the stage has."""

    def weights(width: int) -> int:
        return _weights(architecture, stage, widths | dict.fromkeys(free, width))

    candidates = range(MULTIPLE, _WIDEST + 1, MULTIPLE)
    above = bisect_left(candidates, budget, key=weights)  # weights grow with the width
    nearest = candidates[max(above - 1, 0) : above + 1]
    width = min(nearest, key=lambda w: abs(weights(w) - budget))
    return width, weights(width)


def _with(architecture: Architecture, widths: Mapping[str, int]) -> Architecture:
    nodes: dict[str, AnyNode] = {
        node.name: node
        for node in propagate(architecture.nodes, image_shapes(architecture), widths)
    }
    stages = tuple(
        replace(
            stage,
            blocks=tuple(
                replace(block, nodes=tuple(nodes[node.name] for node in block.nodes))
                for block in stage.blocks
            ),
        )
        for stage in architecture.stages
    )
    return replace(architecture, stages=stages)


def _weights(architecture: Architecture, stage: Stage, widths: Mapping[str, int]) -> int:
    """Convolution weights of a stage with these widths."""
    (same,) = (s for s in _with(architecture, widths).stages if s.name == stage.name)
    return sum(prod(n.weight_shape) for n in same.nodes if isinstance(n, Convolution))
