"""TVM's importer of PyTorch programs, with the converters it lacks, and the module behind each
variable.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import tvm
from tvm import relax

from dero_tvm.boundary.errors import UserError
from relax_passes.ir.origins import Origin

from .cut import Cut, suggestion
from .pytorch_converters import CONVERTERS
from .pytorch_cut import cut_program, named_graph
from .pytorch_recurrent import RECURRENT

if TYPE_CHECKING:
    from torch.export import ExportedProgram


@dataclass(frozen=True, eq=False)
class ImportedProgram:
    """The module, names of inputs and outputs, and which node each variable stands for."""

    module: tvm.IRModule
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    origins: dict[relax.Expr, Origin]


def import_program(program: ExportedProgram, label: str, cut: Cut) -> ImportedProgram:
    """A program as Relax, or what `cut` leaves of it.  Raises :class:`UserError`."""
    from tvm.relax.frontend.torch.exported_program_translator import ExportedProgramImporter

    if not _has_sparse_tensors(program):
        program = program.run_decompositions(_decompositions())
    if cut:
        program = cut_program(program, cut, label)
    importer = ExportedProgramImporter()
    _refuse_operators(program, {*importer.convert_map, *CONVERTERS}, label)
    module = importer.from_exported_program(
        program,
        keep_params_as_input=False,
        unwrap_unit_return_tuple=True,
        no_bind_return_tuple=False,
        custom_convert_map={**CONVERTERS, **RECURRENT},
    )
    origins: dict[relax.Expr, Origin] = {}
    for node, value in importer.env.items():
        if node.op == "call_function" and isinstance(value, relax.Var):
            origins.setdefault(value, _origin(node))
    signature = program.graph_signature
    inputs, outputs = (map(str, n) for n in (signature.user_inputs, signature.user_outputs))
    return ImportedProgram(module, tuple(inputs), tuple(outputs), origins)


def _refuse_operators(program: ExportedProgram, known: Collection[str], label: str) -> None:
    made = [node for node in program.graph.nodes if node.op not in ("placeholder", "output")]
    problems = {}
    for position, node in enumerate(made):
        if node.op == "call_function" and node.target.__name__ not in known:
            origin = _origin(node)
            problems[position] = f"{origin.operator} ({origin.name!r})"
    if problems:
        listed = "; ".join(problems.values())
        advice = suggestion(named_graph(program), problems)
        raise UserError(f"{label}: unsupported operators: {listed}{advice}")


def _decompositions() -> Any:
    """Into simpler operators, but for layers over sequences: these would be one layer a step."""
    import torch
    from torch.export import default_decompositions

    table = default_decompositions()
    for operator in list(table):
        if str(operator) in ("aten.lstm.input", "aten.gru.input"):
            del table[operator]
    table[torch.ops.aten.pad.default] = _circular_pad
    return table


def _circular_pad(data: Any, amounts: Any, mode: str = "constant", value: Any = None) -> Any:
    """Borders from the other end by indices; PyTorch would write them into an empty tensor.

    Other borders are taken apart as PyTorch does.
    """
    import torch

    if mode != "circular":
        return NotImplemented
    for number, (before, after) in enumerate(zip(amounts[0::2], amounts[1::2])):
        axis = data.dim() - 1 - number
        places = torch.arange(-before, data.shape[axis] + after) % data.shape[axis]
        data = torch.index_select(data, axis, places)
    return data


def _origin(node: Any) -> Origin:
    """The innermost module whose ``forward`` an operator stands in; outside of all, its own name.

    `node` is one of torch.fx, whose operators are called ``conv2d.default``.
    """
    path = next(
        (path for path, _ in reversed((node.meta.get("nn_module_stack") or {}).values())), ""
    )
    return Origin(node.target.__name__.partition(".")[0], path or node.name)


def _has_sparse_tensors(program: ExportedProgram) -> bool:
    """PyTorch cannot take a program with such tensors apart into simpler operators."""
    import torch

    named = [*program.named_buffers(), *program.named_parameters(), *program.constants.items()]
    tensors = [value for _, value in named if isinstance(value, torch.Tensor)]
    return any(tensor.layout != torch.strided for tensor in tensors)
