r"""ReorganizeResiduals: residual joins go, and every convolution gets a shortcut of its own.

::

    x -> conv -> conv -> add -> z             x -> conv -> add -> conv -> add -> z
     \___________________/                     \__________/ \_____________/

A residual around several operators keeps a third tensor alive beside the input and the output of
the one that runs.  A residual around one operator does not: its input is alive anyway.  The
shortcuts have no weights but their normalisations (`give_shortcuts`); projections disappear.  The
result is another function, which has to be trained.

Reproduced from the public code of Mendis, Kang, Lin, Chen, Hsiu, "Deep Reorganization: Retaining
Residuals in TinyML", DAC 2024; `Choices` has what the method leaves open.  Where concatenations
went, ``RefineOperators`` afterwards gives the stages their parameters back.

The network is written in the operator set with everything spelled out (`write_network`), as
exporters write it too; ``FuseShortcuts`` makes one operator of each convolution and its shortcut.
Main's attribute ``dero.reorganization`` holds the description of the network, which
`reorganization_attribute.read_reorganization` gives back with the weights.

Precondition: a canonical module of float32.  Raises ``CannotReorganize`` with the reason for a
network without residual connections, and for what `describe_network` cannot describe.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import tvm

from ..canonicalization.deciding_passes import DECIDING_PASSES
from ..ir.attributes import REORGANIZATION, main_attribute
from ..ir.decisions import LEFT_ALONE, forget, record
from ..ir.inline import inlined
from ..ir.operator_graph import operator_graph
from ..residuals.fold_padding import FoldPadding
from ..residuals.identify_residuals import find_residuals
from ..residuals.residual import Residual
from ..streaming.stream_rows import MEMORY_PASSES
from .attribute import write_reorganization
from .cannot_reorganize import CannotReorganize
from .channel_widths import propagate
from .description import Architecture, Choices, Convolution, Reorganization
from .give_shortcuts import give_shortcuts
from .join_verdicts import around_shortcut, judge
from .read_network import Description
from .stages import arrange
from .start_weights import start_weights

NAME = "ReorganizeResiduals"
AS_THE_AUTHORS = Choices()


@tvm.transform.module_pass(opt_level=0, name=NAME)
class ReorganizeResiduals:
    """The pass; see the module's docstring.  `name` is what the network is called."""

    def __init__(self, choices: Choices = AS_THE_AUTHORS, name: str = "network") -> None:
        self.choices = choices
        self.name = name

    def transform_module(
        self, mod: tvm.IRModule, _context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        """Return the reorganized network; one that is reorganized already as it is."""
        if main_attribute(mod, REORGANIZATION) is not None:
            return mod
        return reorganize(mod, self.choices, self.name, NAME)


def reorganize(mod: tvm.IRModule, choices: Choices, name: str, pass_name: str) -> tvm.IRModule:
    """`mod` reorganized, with decisions under `pass_name`."""
    mod = inlined(mod)
    if "dero.pad" in {node.operator for node in operator_graph(mod).values()}:
        mod = tvm.transform.Sequential([FoldPadding()])(mod)
    mod = forget(mod, (*MEMORY_PASSES, *DECIDING_PASSES))
    graph = operator_graph(mod)
    residuals = find_residuals(graph)
    by_join = {residual.join: residual for residual in residuals}
    verdicts = judge(graph, residuals)
    found = Description(graph, by_join, verdicts, pass_name, choices.join_activation).read()
    if not found.removed:
        kept = [f"{d.join}: {d.reason}" for d in found.decisions if d.action == LEFT_ALONE]
        raise CannotReorganize(
            "the network has no residual connection"
            + (f" that could be reorganized ({'; '.join(kept)})" if kept else "")
        )
    network = _assembled(found, residuals, choices, name)
    return record(write_reorganization(mod, network), found.decisions)


def _assembled(
    found: Description, residuals: list[Residual], choices: Choices, name: str
) -> Reorganization:
    refinable = _refinable(found)
    replaced = _replaced(found)
    nodes = [replace(node, **replaced[node.name]) for node in found.nodes.values()]
    nodes = [
        replace(node, refinable=node.name in refinable) if isinstance(node, Convolution) else node
        for node in nodes
    ]
    inputs = {
        port.name: (*port.shape[2:], port.shape[1]) if port.layout == "NCHW" else port.shape[1:]
        for port in found.inputs
    }
    regions = [_region(found, residual) for residual in residuals]
    stages, names = arrange(propagate(nodes, inputs), regions, inputs)
    sizes = {
        names[node.name]: found.weights[f"{node.name}.weight"].size
        for node in nodes
        if isinstance(node, Convolution)
    }
    stages = tuple(
        replace(stage, budget=sum(sizes.get(node.name, 0) for node in stage.nodes))
        if any(isinstance(node, Convolution) and node.refinable for node in stage.nodes)
        else stage
        for stage in stages
    )
    outputs = tuple(replace(port, name=names.get(port.name, port.name)) for port in found.outputs)
    architecture = Architecture(name, tuple(found.inputs), stages, outputs)
    architecture = give_shortcuts(architecture, choices)
    weights = {}
    for key, array in found.weights.items():
        layer, role = key.rsplit(".", 1)
        if layer in names:
            weights[f"{names[layer]}.{role}"] = array
    return Reorganization(architecture, start_weights(architecture, weights))


def _region(found: Description, residual: Residual) -> set[str]:
    """The nodes between a fork and its join; of a join that stays also what it reads."""
    if residual in found.removed:
        return around_shortcut(residual)
    operators = {name for branch in residual.branches for name in branch.operators}
    return operators | {residual.join} | found.nodes_of(b.operand for b in residual.branches)


def _replaced(found: Description) -> dict[str, dict[str, Any]]:
    """For each node what its result stands for in the original: the last tensor of its shape."""
    replaced: dict[str, dict[str, Any]] = {name: {} for name in found.nodes}
    for name, tensor in found.tensors.items():
        node, spec = found.nodes.get(tensor.source), found.graph[name].known_spec
        if node is not None and spec is not None and spec.shape[1:] == node.shape:
            ends = name in found.verdicts.removed or "ends_join" in replaced[node.name]
            replaced[node.name] = {"replaces": name} | ({"ends_join": True} if ends else {})
    return replaced


def _refinable(found: Description) -> set[str]:
    """Convolutions whose width only went into removed concatenations at one resolution."""
    names: set[str] = set()
    for residual in found.removed:
        if residual.operator != "dero.concat":
            continue
        around = around_shortcut(residual)
        sizes = {found.graph[n].spec.shape[1:3] for n in around}
        if len(sizes) == 1:
            nodes = (found.nodes.get(n) for n in around)
            names |= {n.name for n in nodes if isinstance(n, Convolution) and n.groups == 1}
    return names
