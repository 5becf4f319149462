"""Passes on TVM's graph IR (Relax), and the analyses of the graph that they share.

Importing this registers them with TVM: ``tvm.relax.get_pipeline("dero")`` is the whole of them,
`relax_passes.tvm_pipeline` says with which options.  TVM itself is imported when it is needed.
"""

from __future__ import annotations

from .after_import import after_import


def _register() -> None:
    from .tvm_pipeline import register

    register()


after_import("tvm.relax", _register)
