"""Importing TVM without what a command does not need of it."""

from __future__ import annotations

import atexit
import gc
import sys
from typing import Any

from dero_tvm.boundary.garbage import collect_seldom


def start_tvm(model: Any) -> None:
    """Import TVM, and PyTorch with it only if `model` is the path of an exported program.

    TVM's foreign function interface imports PyTorch wherever it is installed, to exchange tensors
    with it, and that takes longer than importing TVM.  Nothing that a command does with another
    model needs it, and what is hidden here can still be imported afterwards.  What is imported and
    made stays until the command ends, so Python need not look for garbage in it, nor in the end.
    """
    collect_seldom()
    atexit.register(gc.freeze)
    if "tvm_ffi" in sys.modules or "torch" in sys.modules or str(model).endswith(".pt2"):
        return
    sys.modules["torch"] = None  # type: ignore[assignment]  # an import fails, as if not installed
    try:
        import tvm.relax  # noqa: F401
    finally:
        del sys.modules["torch"]
