"""PyTorch programs exported by ``torch.export``, as Relax modules.  PyTorch itself is optional."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from dero_tvm.boundary.errors import UserError, first_line
from dero_tvm.boundary.installation import pip_install

from .cut import UNCUT, Cut
from .loaded import LoadedModel, finish
from .pytorch_importer import import_program
from .relax_module import bind_dimensions
from .untrusted import ForbiddenAction, untrusted

if TYPE_CHECKING:
    from torch.export import ExportedProgram


def read_exported_program(data: bytes, label: str) -> ExportedProgram:
    """The program that ``torch.export.save`` wrote; :class:`UserError` if it is none."""
    try:
        import torch
    except ImportError as error:
        raise UserError(
            f"{label} is a PyTorch file, and PyTorch is not installed; install it with "
            f"{pip_install('torch')}, or convert the model to ONNX"
        ) from error
    try:
        with warnings.catch_warnings(), untrusted():
            warnings.simplefilter("ignore")
            return torch.export.load(io.BytesIO(data))
    except ForbiddenAction as error:
        raise UserError(f"{label}: refused: {error}, and PyTorch would run it") from None
    except Exception as error:  # zip, JSON and pickle errors, differing by PyTorch version
        reason = first_line(error).partition(" Please check the warnings above")[0]
        raise UserError(
            f"{label} is not a readable PyTorch program ({reason}); write it with "
            "torch.export.save(torch.export.export(model, example_inputs), path)"
        ) from error


def load_exported_program(
    program: ExportedProgram,
    *,
    label: str,
    name: str,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    cut: Cut = UNCUT,
) -> LoadedModel:
    """Import a program of ``torch.export``, or what `cut` leaves of it.

    `label` names it in a :class:`UserError`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            imported = import_program(program, label, cut)
    except UserError:
        raise
    except Exception as error:  # converters assert, look up and raise freely
        raise UserError(f"{label}: cannot be imported: {first_line(error)}") from error
    inputs, module = imported.inputs, imported.module
    if len(inputs) != len(module["main"].params):
        raise UserError(f"{label}: inputs that are not tensors are not supported: {inputs}")
    module = bind_dimensions(module, inputs, label, input_shapes)
    return finish(
        module,
        label=label,
        name=name,
        format="pytorch",
        rounding="single",
        input_names=inputs,
        output_names=imported.outputs,
        origins=imported.origins,
    )
