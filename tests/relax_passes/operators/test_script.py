"""`script.prim_func` reads kernels as TVM's own decorator does, and they are well-formed."""

from __future__ import annotations

import pytest
import tvm
from tvm.script import tirx as T

from relax_passes.operators import operator_of, script
from relax_passes.operators.registry import signature_of
from tests.models.random_networks import random_network


def signatures(*seeds):
    """Operator -> one of its signatures for each type, in these networks."""
    found = {}

    @tvm.relax.expr_functor.visitor
    class Calls(tvm.relax.PyExprVisitor):
        def visit_call_(self, call):
            signature = signature_of(call)
            if signature is not None:
                found[signature.operator, signature.inputs[0].dtype] = signature

    for seed in seeds:
        Calls().visit_expr(random_network(seed)["main"])
    return list(found.values())


def test_like_tvm(monkeypatch):
    kernels = {s: operator_of(s.operator).row_kernel(s) for s in signatures(*range(8))}
    assert len(kernels) > 15
    monkeypatch.setattr(script, "prim_func", T.prim_func)
    for signature, kernel in kernels.items():
        read_by_tvm = operator_of(signature.operator).row_kernel(signature)
        tvm.ir.assert_structural_equal(kernel, read_by_tvm)
        tvm.s_tir.analysis.verify_well_formed(tvm.IRModule.from_expr(kernel))


def test_errors_name_what_is_unknown():
    size = 4
    with pytest.raises(tvm.error.DiagnosticError, match="unknown_name"):

        @script.prim_func(private=True, s_tir=True)
        def kernel(row: T.int32, out: T.handle("float32")):
            O = T.decl_buffer((size,), "float32", data=out)
            O[row] = unknown_name  # noqa: F821
