"""TVM's importer of PyTorch programs, with the converters it lacks, and the module behind each
variable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tvm
from tvm import relax

from relax_passes.ir.origins import Origin

from .pytorch_converters import CONVERTERS
from .pytorch_recurrent import RECURRENT

if TYPE_CHECKING:
    from torch.export import ExportedProgram


def import_program(program: ExportedProgram) -> tuple[tvm.IRModule, dict[relax.Expr, Origin]]:
    """A program as Relax, and what each variable that stands for one of its nodes comes from."""
    from tvm.relax.frontend.torch.exported_program_translator import ExportedProgramImporter

    if not _has_sparse_tensors(program):
        program = program.run_decompositions(_decompositions())
    importer = ExportedProgramImporter()
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
    return module, origins


def _decompositions() -> Any:
    """Into simpler operators, but for layers over sequences: these would be one layer a step."""
    from torch.export import default_decompositions

    table = default_decompositions()
    for operator in list(table):
        if str(operator) in ("aten.lstm.input", "aten.gru.input"):
            del table[operator]
    return table


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
