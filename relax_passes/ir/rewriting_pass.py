"""A rewriter of `main`, binding by binding, as a module pass."""

from __future__ import annotations

from collections.abc import Callable

import tvm

from .dataflow import DataflowRewriter


def rewriting_pass(name: str, rewriter: type[DataflowRewriter]) -> Callable[[], tvm.transform.Pass]:
    """What makes the module pass `name`, in which each module gets a `rewriter` of its own."""

    def make() -> tvm.transform.Pass:
        return tvm.transform.module_pass(
            lambda module, _context: rewriter(module).run(), opt_level=0, name=name
        )

    return make
