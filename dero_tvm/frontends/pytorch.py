"""PyTorch programs exported by ``torch.export``, as Relax modules.  PyTorch itself is optional."""

from __future__ import annotations

import io
import logging
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dero_tvm.boundary.errors import UserError, first_line
from dero_tvm.boundary.installation import pip_install

from .cut import UNCUT, Cut
from .loaded import LoadedModel, finish
from .pytorch_importer import import_program
from .pytorch_quantization import register_operators
from .relax_module import bind_dimensions
from .untrusted import ForbiddenAction, untrusted

if TYPE_CHECKING:
    from torch.export import ExportedProgram

# What PyTorch appends for its own developers.
_TO_DEVELOPERS = re.compile(r"( Please check the warnings above|\. This is an internal miniz).*")
_UNKNOWN_OPERATOR = re.compile(r"failed to resolve torch\.ops\.(\S+) to an operator")


def read_exported_program(data: bytes, label: str) -> ExportedProgram:
    """The program that ``torch.export.save`` wrote; :class:`UserError` if it is none."""
    try:
        import torch
    except ImportError as error:
        raise UserError(
            f"{label} is a PyTorch file, and PyTorch is not installed; install it with "
            f"{pip_install('torch')}, or convert the model to ONNX"
        ) from error
    register_operators()
    logged: list[BaseException] = []
    try:
        with warnings.catch_warnings(), untrusted(), _errors_logged(logged):
            warnings.simplefilter("ignore")
            return torch.export.load(io.BytesIO(data))
    except ForbiddenAction as error:
        raise UserError(f"{label}: refused: {error}, and PyTorch would run it") from None
    except Exception as error:  # zip, JSON and pickle errors, differing by PyTorch version
        cause: BaseException = logged[0] if logged else error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        unknown = _UNKNOWN_OPERATOR.search(str(cause))
        if unknown is not None:
            raise UserError(
                f"{label}: the operator {unknown[1]} is none that PyTorch has here; write the "
                "layer that uses it with PyTorch's own operators, and export the model again"
            ) from error
        reason = _TO_DEVELOPERS.sub("", first_line(cause))
        raise UserError(
            f"{label} is not a readable PyTorch program ({reason}); write it with "
            "torch.export.save(torch.export.export(model, example_inputs), path)"
        ) from error


@contextmanager
def _errors_logged(found: list[BaseException]) -> Iterator[None]:
    """Collect what ``torch.export.load`` logs with a traceback, before it tries an older format.

    What it raises in the end is about that format, so the reason is in the log alone.
    """

    def collect(record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            found.append(error)
        return False

    logger = logging.getLogger("torch.export")
    logger.addFilter(collect)
    try:
        yield
    finally:
        logger.removeFilter(collect)


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
            imported = import_program(program, label, cut, input_shapes)
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
