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
`attribute.read_reorganization` gives back with the weights.

Precondition: a canonical module of float32.  Raises ``CannotReorganize`` with the reason for a
network without residual connections, and for operators that are left to TVM.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import tvm

from ..canonicalization.deciding_passes import DECIDING_PASSES
from ..ir.attributes import REORGANIZATION, main_attribute
from ..ir.decisions import LEFT_ALONE, Decision, forget, record
from ..ir.inline import inlined
from ..ir.operator_graph import OperatorGraph, operator_graph
from ..residuals.fold_padding import FoldPadding
from ..residuals.identify_residuals import find_residuals
from ..residuals.residual import NONE, Residual
from ..streaming.stream_rows import MEMORY_PASSES
from .attribute import write_reorganization
from .cannot_reorganize import CannotReorganize
from .channel_widths import propagate
from .description import AnyNode, Architecture, Choices, Convolution, Reorganization
from .give_shortcuts import give_shortcuts
from .join_verdicts import Verdicts, around_shortcut, judge
from .read_network import Description
from .refine_operators import refine
from .stages import arrange
from .start_weights import start_weights

NAME = "ReorganizeResiduals"
AS_THE_AUTHORS = Choices()
UNNAMED = "it is none of the joins that were to be reorganized, so its block stays exact"

KEPT_AROUND = (
    "what it goes around stays as it is: there is none that its shortcut could be given to"
)


@tvm.transform.module_pass(opt_level=0, name=NAME)
class ReorganizeResiduals:
    """The pass; see the module's docstring.  `name` is what the network is called.

    With `joins`, names of variables, no others than those are reorganized.
    """

    def __init__(
        self,
        choices: Choices = AS_THE_AUTHORS,
        name: str = "network",
        joins: Collection[str] | None = None,
    ) -> None:
        self.choices = choices
        self.name = name
        self.joins = joins

    def transform_module(
        self, mod: tvm.IRModule, _context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        """Return the reorganized network; one that is reorganized already as it is."""
        if main_attribute(mod, REORGANIZATION) is not None:
            return mod
        return reorganize(mod, self.choices, self.name, NAME, self.joins)


def reorganize(
    mod: tvm.IRModule,
    choices: Choices,
    name: str,
    pass_name: str,
    joins: Collection[str] | None = None,
) -> tvm.IRModule:
    """`mod` reorganized, with decisions under `pass_name`."""
    mod = prepared(mod)
    graph = operator_graph(mod)
    residuals = find_residuals(graph)
    stay = {r.join: UNNAMED for r in residuals if joins is not None and r.join not in joins}
    while True:
        verdicts = judge(graph, residuals, stay)
        within = None if joins is None else frozenset(_within(residuals, verdicts))
        by_join = {residual.join: residual for residual in residuals}
        found = Description(graph, by_join, verdicts, pass_name, choices.join_activation, within)
        try:
            found.read()
            without = _around_no_convolution(found)
            if without:
                stay |= dict.fromkeys(without, KEPT_AROUND)
                continue
            if not found.removed:
                raise _without_residuals(found)
            network = _assembled(found, residuals, choices, name)
            written = write_reorganization(mod, network)
        except CannotReorganize as refusal:
            causes = _causes(graph, found, refusal)
            if not causes:
                raise
            stay |= dict.fromkeys(causes, str(refusal))
        else:
            return record(written, found.decisions)


def _around_no_convolution(found: Description) -> list[str]:
    """The removed joins around which no convolution has come out that could get the shortcut."""
    given = {n.name for n in found.nodes.values() if isinstance(n, Convolution) and not n.in_gate}
    return [join for join, r in found.verdicts.removed.items() if not around_shortcut(r) & given]


def removable_joins(mod: tvm.IRModule) -> list[Residual]:
    """The joins of a canonical module that are residual ones and can be reorganized."""
    graph = operator_graph(prepared(mod))
    residuals = find_residuals(graph)
    removed = judge(graph, residuals).removed
    return [residual for residual in residuals if residual.join in removed]


def prepared(mod: tvm.IRModule) -> tvm.IRModule:
    """`mod` in one function, without what was decided about its memory."""
    mod = inlined(mod)
    if "dero.pad" in {node.operator for node in operator_graph(mod).values()}:
        mod = tvm.transform.Sequential([FoldPadding()])(mod)
    return forget(mod, (*MEMORY_PASSES, *DECIDING_PASSES))


def _without_residuals(found: Description) -> CannotReorganize:
    kept = [f"{d.join}: {d.reason}" for d in found.decisions if d.action == LEFT_ALONE]
    return CannotReorganize(
        "the network has no residual connection"
        + (f" that could be reorganized ({'; '.join(kept)})" if kept else "")
    )


def _within(residuals: Sequence[Residual], verdicts: Verdicts) -> set[str]:
    """The operators whose innermost residual is one of those that go."""
    innermost: dict[str, tuple[int, str]] = {}  # size and join
    for residual in residuals:
        if residual.shortcut == NONE or residual.operator == "dero.multiply":
            continue
        around = around_shortcut(residual)
        for name in around | {residual.join}:
            size, _ = innermost.get(name, (len(around) + 1, ""))
            if len(around) < size:
                innermost[name] = (len(around), residual.join)
    return {name for name, (_, join) in innermost.items() if join in verdicts.removed}


def _causes(graph: OperatorGraph, found: Description, refusal: CannotReorganize) -> set[str]:
    """The removed joins because of which an operator gets other channels than it can take.

    Those are the last ones on the way to it from which no convolution takes the channels anew.
    """
    if refusal.at is None:
        return set()
    if refusal.at in found.verdicts.removed:
        return {refusal.at}
    waiting, seen, causes = [refusal.at], {refusal.at}, set()
    while waiting:
        name = waiting.pop()
        if name in graph:
            above = list(graph.digraph.predecessors(name))
        else:
            node = found.nodes.get(name)
            above = list(node.inputs) if node is not None else []
        for source in above:
            if source in seen:
                continue
            seen.add(source)
            if source in found.verdicts.removed:
                causes.add(source)
            made = found.nodes.get(source)
            if isinstance(made, Convolution) and made.groups == 1:
                continue
            if source not in found.verdicts.removed:
                waiting.append(source)
    return {c for c in causes if found.verdicts.removed[c].operator == "dero.concat"} or causes


def _assembled(
    found: Description, residuals: list[Residual], choices: Choices, name: str
) -> Reorganization:
    refinable = _refinable(found)
    replaced = _replaced(found)
    nodes = [replace(node, **replaced[node.name]) for node in found.nodes.values()]
    nodes = [
        replace(
            node,
            refinable=node.name in refinable,
            exact=found.within is not None and node.name not in found.within,
        )
        if isinstance(node, Convolution)
        else node
        for node in nodes
    ]
    inputs = {port.name: port.image_shape for port in found.inputs}
    regions = [_region(found, residual) for residual in residuals]
    fitted = propagate(nodes, inputs)
    _check_outputs(found, fitted)
    stages, names = arrange(fitted, regions, inputs)
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
    architecture = _refinable_at_all(give_shortcuts(architecture, choices), found)
    weights = {}
    for key, array in found.weights.items():
        layer, role = key.rsplit(".", 1)
        if layer in names:
            weights[f"{names[layer]}.{role}"] = array
    return Reorganization(architecture, start_weights(architecture, weights))


def _check_outputs(found: Description, nodes: Sequence[AnyNode]) -> None:
    """Raises `CannotReorganize` if an output of the network has lost channels."""
    sizes = {node.name: prod(node.shape) for node in nodes}
    for port, tensor in zip(found.outputs, found.graph.outputs):
        if port.name in sizes and sizes[port.name] != prod(port.shape):
            refusal = CannotReorganize(
                f"the output {tensor} of shape {list(port.shape)} would have "
                f"{sizes[port.name]:,} numbers without this concatenation; end the network in an "
                "operator that fixes its channels"
            )
            refusal.at = tensor
            raise refusal


def _refinable_at_all(architecture: Architecture, found: Description) -> Architecture:
    """Stages keep the widths they have where other widths reach what cannot take them."""
    try:
        refine(architecture)
    except CannotReorganize as refusal:
        stages = tuple(replace(stage, budget=None) for stage in architecture.stages)
        for stage in architecture.stages:
            if stage.budget is not None:
                reason = f"its widths stay: {refusal}"
                found.decisions.append(Decision(found.pass_name, stage.name, LEFT_ALONE, reason))
        return replace(architecture, stages=stages)
    return architecture


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
