"""A part of a PyTorch program: nodes, inputs and outputs that `cut.part_of` leaves."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .cut import Cut, NamedGraph, part_of

if TYPE_CHECKING:
    from torch.export import ExportedProgram


def cut_program(program: ExportedProgram, cut: Cut, label: str) -> ExportedProgram:
    """What `cut` names of a program, which is not changed.  Raises :class:`UserError`."""
    from torch.export.graph_signature import (
        ExportGraphSignature,
        InputKind,
        InputSpec,
        OutputKind,
        OutputSpec,
        TensorArgument,
    )

    part = part_of(named_graph(program), cut, label)
    module = copy.deepcopy(program.graph_module)
    graph: Any = module.graph
    nodes = {node.name: node for node in graph.nodes}
    made = computed_nodes(graph)
    kept = {id(made[position]) for position in part.operators}
    inputs: dict[str, Any] = dict.fromkeys(part.inputs)
    for name in inputs:
        inputs[name] = nodes[name]
        if nodes[name].op != "placeholder":
            with graph.inserting_before(made[0]):
                inputs[name] = graph.placeholder(f"{name}_given")
            inputs[name].meta = dict(nodes[name].meta)
            nodes[name].replace_all_uses_with(inputs[name])
    (output,) = (node for node in graph.nodes if node.op == "output")
    output.args = (tuple(inputs.get(name, nodes[name]) for name in part.outputs),)
    for node in reversed(made):
        if id(node) not in kept:
            graph.erase_node(node)
    signature = program.graph_signature
    for name in signature.user_inputs:
        if name not in inputs:
            graph.erase_node(nodes[name])
    for name, node in inputs.items():
        node.name = node.target = name  # which the tensor that it stands for has no longer
    given = [
        InputSpec(InputKind.USER_INPUT, TensorArgument(name), None, None) for name in part.inputs
    ]
    of_the_file = [spec for spec in signature.input_specs if spec.kind != InputKind.USER_INPUT]
    results = [OutputSpec(OutputKind.USER_OUTPUT, TensorArgument(n), None) for n in part.outputs]
    cut_off = copy.copy(program)
    cut_off._graph_module = module
    cut_off._graph_signature = ExportGraphSignature([*of_the_file, *given], results)
    return cut_off


def computed_nodes(graph: Any) -> list[Any]:
    """The nodes of a ``torch.fx.Graph`` that are neither inputs nor its outputs, in order."""
    return [node for node in graph.nodes if node.op not in ("placeholder", "output")]


def named_graph(program: ExportedProgram) -> NamedGraph:
    """The tensors of a program by the names of their nodes."""
    made = computed_nodes(program.graph)
    inputs = [str(name) for name in program.graph_signature.user_inputs]
    held = [node.name for node in program.graph.nodes if node.op == "placeholder"]
    return NamedGraph(
        [[operand.name for operand in node.all_input_nodes] for node in made],
        [[node.name] for node in made],
        inputs,
        [str(name) for name in program.graph_signature.user_outputs],
        frozenset(held) - set(inputs),
        {name: node.name for node in made for name in _other_names(node)},
    )


def _other_names(node: Any) -> Iterator[str]:
    """The modules whose last node it may be, and the node of the program before decomposition."""
    for path, _ in (node.meta.get("nn_module_stack") or {}).values():
        if path:
            yield path
    for source in node.meta.get("from_node") or ():
        yield source.name
