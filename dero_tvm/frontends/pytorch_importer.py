"""TVM's importer of PyTorch programs, with the converters it lacks, and the module behind each
variable.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import tvm
from tvm import relax, tirx

from dero_tvm.boundary.errors import UserError, first_line
from relax_passes.ir.origins import Origin

from .cut import Cut, suggestion
from .pytorch_converters import CONVERTERS
from .pytorch_cut import computed_nodes, cut_program, named_graph
from .pytorch_decompositions import decompositions
from .pytorch_integers import INTEGERS
from .pytorch_promotion import promote_types
from .pytorch_quantization import QUANTIZATION
from .pytorch_recurrent import RECURRENT
from .pytorch_scatters import SCATTERS
from .pytorch_sizes import Sizes, fix_sizes

if TYPE_CHECKING:
    from torch.export import ExportedProgram


_CONVERTERS = {**CONVERTERS, **INTEGERS, **QUANTIZATION, **SCATTERS}
_Converter = Callable[..., Any]
_BRANCHES = ("cond", "while_loop")


@dataclass(frozen=True, eq=False)
class ImportedProgram:
    """The module, names of inputs and outputs, and which node each variable stands for."""

    module: tvm.IRModule
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    origins: dict[relax.Expr, Origin]


def import_program(
    program: ExportedProgram, label: str, cut: Cut, input_shapes: Sizes | None = None
) -> ImportedProgram:
    """A program as Relax, or what `cut` leaves of it.  Raises :class:`UserError`."""
    from tvm.relax.frontend.torch.exported_program_translator import ExportedProgramImporter

    importer = ExportedProgramImporter()
    importer.convert_map = _naming_nodes(importer.convert_map, label)
    known = {*importer.convert_map, *_CONVERTERS}
    if not _has_sparse_tensors(program):
        program = program.run_decompositions(decompositions(known))
    if cut:
        program = cut_program(program, cut, label)
    _refuse_numbers(program, label)
    fix_sizes(program, label, input_shapes)
    _refuse_operators(program, known, label)
    _refuse_what_varies(program, label)
    if not _has_sparse_tensors(program):
        promote_types(program)
    module = importer.from_exported_program(
        program,
        keep_params_as_input=False,
        unwrap_unit_return_tuple=True,
        no_bind_return_tuple=False,
        custom_convert_map=_naming_nodes({**_CONVERTERS, **RECURRENT}, label),
    )
    _refuse_other_shapes(importer.env, label)
    origins: dict[relax.Expr, Origin] = {}
    for node, value in importer.env.items():
        if node.op == "call_function" and isinstance(value, relax.Var):
            origins.setdefault(value, _origin(node))
    signature = program.graph_signature
    inputs, outputs = (map(str, n) for n in (signature.user_inputs, signature.user_outputs))
    return ImportedProgram(module, tuple(inputs), tuple(outputs), origins)


def _refuse_numbers(program: ExportedProgram, label: str) -> None:
    """Inputs and outputs that are no tensors: numbers, texts, None."""
    from torch.export.graph_signature import ConstantArgument

    signature = program.graph_signature
    for role, specs in (("input", signature.input_specs), ("output", signature.output_specs)):
        ports = [spec.arg for spec in specs if spec.kind.name == f"USER_{role.upper()}"]
        for position, port in enumerate(ports):
            if isinstance(port, ConstantArgument):
                named = f" ({port.name!r})" if role == "input" else ""
                raise UserError(
                    f"{label}: {role} {position}{named} is {port.value!r} and no tensor; export "
                    f"the model with tensors alone as its {role}s"
                )


def _refuse_operators(program: ExportedProgram, known: Collection[str], label: str) -> None:
    problems = {}
    for position, node in enumerate(computed_nodes(program.graph)):
        if node.op == "call_function" and node.target.__name__ not in known:
            origin = _origin(node)
            problems[position] = f"{origin.operator} ({origin.name!r})"
    if problems:
        listed = "; ".join(problems.values())
        advice = suggestion(named_graph(program), problems)
        raise UserError(f"{label}: unsupported operators: {listed}{advice}")


def _refuse_what_varies(program: ExportedProgram, label: str) -> None:
    """Results that are drawn at random, and what depends on values: branches, sizes."""
    from torch.fx.experimental.symbolic_shapes import free_unbacked_symbols

    named = named_graph(program)
    for position, node in enumerate(computed_nodes(program.graph)):
        if node.op != "call_function":
            continue
        origin = _origin(node)
        if "dropout" in origin.operator and _argument(node, "train"):
            raise UserError(
                f"{label}: {origin.operator} ({origin.name!r}) is in training mode; call eval() "
                "on the model before torch.export"
            )
        if origin.operator in _BRANCHES:
            raise UserError(
                f"{label} branches at run time ({origin.operator} {origin.name!r}), which is not "
                f"supported; decide in the application{suggestion(named, {position: ''})}"
            )
        if any(free_unbacked_symbols(tensor) for tensor in _tensors(node.meta.get("val"))):
            raise UserError(
                f"{label}: how many elements {origin.operator} ({origin.name!r}) gives depends on "
                "its operands' values; memory can be planned only for fixed shapes"
                f"{suggestion(named, {position: ''})}"
            )


def _argument(node: Any, name: str) -> Any:
    """The value of an operator's argument, None if it has none of that name."""
    schema = getattr(node.target, "_schema", None)
    for position, argument in enumerate(schema.arguments if schema is not None else ()):
        if argument.name == name:
            given = node.args[position] if position < len(node.args) else argument.default_value
            return node.kwargs.get(name, given)
    return None


def _tensors(value: Any) -> list[Any]:
    import torch

    return [leaf for leaf in torch.utils._pytree.tree_leaves(value) if hasattr(leaf, "shape")]


def _naming_nodes(converters: Mapping[str, _Converter], label: str) -> dict[str, _Converter]:
    """Converters whose errors, which may be of any kind, name the operator that was converted."""

    def naming(convert: _Converter) -> _Converter:
        def converting(node: Any, *importer: Any) -> Any:
            try:
                return convert(node, *importer)
            except UserError:
                raise
            except Exception as error:
                origin = _origin(node)
                raise UserError(
                    f"{label}: cannot import the operator {origin.operator} ({origin.name!r}): "
                    f"{first_line(error)}"
                ) from error

        return converting

    return {name: naming(convert) for name, convert in converters.items()}


def _refuse_other_shapes(made: Mapping[Any, Any], label: str) -> None:
    """TVM's converters may overlook what an operator says; where the shape shows it, say so."""
    for node, value in made.items():
        wanted = getattr(node.meta.get("val"), "shape", None)
        if node.op != "call_function" or wanted is None or not isinstance(value, relax.Var):
            continue
        if not isinstance(value.ty, relax.TensorType) or value.ty.shape is None:
            continue
        found = list(value.ty.shape)
        if all(isinstance(n, tirx.IntImm) for n in found) and list(map(int, found)) != list(wanted):
            origin = _origin(node)
            raise UserError(
                f"{label}: cannot import the operator {origin.operator} ({origin.name!r}): its "
                f"result would have the shape {list(map(int, found))} in place of {list(wanted)}"
            )


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
