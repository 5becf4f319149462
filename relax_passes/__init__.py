"""Passes on TVM's graph IR (Relax), and the analyses of the graph that they share.

Importing this registers them with TVM: ``tvm.relax.get_pipeline("dero")`` is the whole of them,
`relax_passes.tvm_pipeline` says with which options.  TVM itself is imported when it is needed.
"""

from __future__ import annotations

from .after_import import after_import


def _register() -> None:
    import tvm

    from .tvm_pipeline import register

    register()
    # Passes are run by C++, out of which errors come by name: Ctrl-C in one stays Ctrl-C.
    tvm.error.register_error("KeyboardInterrupt", KeyboardInterrupt)


after_import("tvm.relax", _register)
