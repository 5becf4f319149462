"""The passes as TVM knows pipelines: ``tvm.relax.get_pipeline("dero", level="accumulate")``.

TVM's own keys for ``PassContext(config=...)`` can be added in C++ alone, so options are arguments
here; ``PassContext(disabled_pass=[...])``, instruments and `tvm.ir.transform.PrintIR` work as with
TVM's passes, by the names that `relax_passes.pipeline` has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tvm
from tvm import relax

PIPELINE = "dero"
LEVELS = ("none", "accumulate", "stream")


def register() -> None:
    """Enter the pipeline; if TVM has it already, nothing is done."""
    if PIPELINE not in relax.pipeline.PIPELINE_MAP:
        relax.register_pipeline(PIPELINE)(dero)


def dero(
    level: str = "stream",
    *,
    input_layout: str = "model",
    integer_io: bool = False,
    **options: Any,
) -> tvm.transform.Pass:
    """An imported module to one in little memory, of the same bits, which TVM builds.

    Parameters
    ----------
    level
        ``none``: canonical, every tensor whole; ``accumulate``: residuals and concatenations in
        place; ``stream``: blocks row by row.
    input_layout, integer_io
        As of `relax_passes.pipeline.canonicalize`.
    options
        As of `relax_passes.pipeline.accumulate` or `stream`: ``keep_inputs``, ``limit``, ...

    Weights have to be constants of the module (`relax.transform.BindParams`): parameters of
    ``main`` are inputs, and a note in its attribute ``dero.notes`` says so.

    Raises ``ValueError`` for another level.
    """
    from . import pipeline
    from .canonicalization.note_weights import NoteWeights

    levels: dict[str, Callable[..., tvm.transform.Pass]] = {
        "none": pipeline.analyze,
        "accumulate": pipeline.accumulate,
        "stream": pipeline.stream,
    }
    if level not in levels:
        raise ValueError(f"level {level!r} is none of {', '.join(LEVELS)}")
    return tvm.transform.Sequential(
        [
            NoteWeights(),
            pipeline.canonicalize(input_layout, integer_io=integer_io),
            levels[level](**options),
        ],
        name=PIPELINE,
    )
