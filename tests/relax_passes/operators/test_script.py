"""`script.row_kernel` reads kernels as TVM's own decorator does, and they are well-formed."""

from __future__ import annotations

import pytest
import tvm
from tvm.script import tirx as T

from relax_passes.operators import operator_of, script
from relax_passes.operators.registry import signature_of
from relax_passes.operators.signature import Signature, TensorSpec
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


def test_well_formed():
    kernels = {s: operator_of(s.operator).row_kernel(s) for s in signatures(*range(8))}
    assert len(kernels) > 15
    for kernel in kernels.values():
        tvm.s_tir.analysis.verify_well_formed(tvm.IRModule.from_expr(kernel))


def test_like_tvm():
    data, weight = TensorSpec((3, 4), "int8"), TensorSpec((5, 4), "int8")
    vectors = [TensorSpec((5,), "int32")] * 3
    signature = Signature(
        "dero.dense", (data, weight, *vectors), TensorSpec((3, 5), "int8", pixel_stride=6)
    )
    three = 3

    @script.row_kernel(signature)
    def dense_row(row, X, ring, W, B, M, S, O):
        for n in range(three):
            O[n] = X[T.truncmod(row, ring) * 4] + W[n] + T.cast(B[n] * M[n] - S[n], "int8")

    @T.prim_func(private=True, s_tir=True)
    def written_out(
        row: T.int32,
        data: T.handle("int8"),
        data_rows: T.int32,
        weight: T.handle("int8"),
        bias: T.handle("int32"),
        multiplier: T.handle("int32"),
        shift: T.handle("int32"),
        out: T.handle("int8"),
    ):
        X = T.decl_buffer((12,), "int8", data=data)
        W = T.decl_buffer((20,), "int8", data=weight)
        B = T.decl_buffer((5,), "int32", data=bias)
        M = T.decl_buffer((5,), "int32", data=multiplier)
        S = T.decl_buffer((5,), "int32", data=shift)
        O = T.decl_buffer((6,), "int8", data=out)
        for n in range(3):
            O[n] = X[T.truncmod(row, data_rows) * 4] + W[n] + T.cast(B[n] * M[n] - S[n], "int8")

    tvm.ir.assert_structural_equal(dense_row, written_out)
    names = [parameter.name for parameter in dense_row.params]
    assert names == [parameter.name for parameter in written_out.params]


def test_errors_name_what_is_unknown():
    data = TensorSpec((3, 4), "float32")
    signature = Signature("dero.unary", (data,), data)
    with pytest.raises(tvm.error.DiagnosticError, match="unknown_name"):

        @script.row_kernel(signature)
        def kernel(row, X, data_rows, O):
            O[row] = unknown_name  # noqa: F821

    with pytest.raises(TypeError, match="short has to take row, data, data_rows, out"):

        @script.row_kernel(signature)
        def short(row, X, O):
            O[row] = X[row]
