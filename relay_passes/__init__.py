"""The name under which the first sketch of this project had its passes.

Relay was TVM's graph IR until TVM 0.19; its successor is Relax, and the passes are those of
`relax_passes`.  microTVM, the part of TVM that compiled for microcontrollers, and its `tvmc` went
with Relay; `dero_tvm` takes their place (docs/migration.md).

A script written for the old name runs: this package hands on the passes, as
``relay_passes.AccumulateResiduals``, and the sequences of `relax_passes.pipeline`, as
``relay_passes.pipeline.stream()``.  They take and give Relax modules.
"""

from __future__ import annotations

from typing import Any

from relax_passes import pipeline
from relax_passes.canonicalization.note_weights import NoteWeights  # which is in no sequence

__all__ = ["NoteWeights", "pipeline"]


def __getattr__(name: str) -> Any:
    if name[:1].isupper() and hasattr(pipeline, name):
        return getattr(pipeline, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
