"""A whole operator as the loop over its rows.

This is what ``LegalizeOps`` puts in place of a ``dero.*`` call.  The row kernel's body is used as
it is: its pointer parameters become names bound to the buffers of the new function.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import tvm
from tvm import tirx
from tvm.s_tir import SBlock, SBlockRealize
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script import builder as T

if TYPE_CHECKING:
    from .operator import Operator
    from .signature import Signature

_OPAQUE_PATTERN = 8  # TVM's kOpaque: never fused into a neighbour


def whole_operator(operator: Operator, signature: Signature) -> tirx.PrimFunc:
    """A ``PrimFunc`` over whole dense tensors: arguments, then the output."""
    kernel = operator.row_kernel(signature)
    row, *params = kernel.params
    row_arguments = operator.row_arguments(signature)
    with IRBuilder() as builder:
        # Private: TVM calls the function as the module does, where names are unique.
        with T.prim_func(private=True, s_tir=True):
            T.func_attr({"tirx.noalias": False, "op_pattern": _OPAQUE_PATTERN})
            names = operator.argument_names(signature)
            buffers = [
                T.arg(name, T.buffer(spec.shape, spec.dtype))
                for name, spec in zip(names, signature.inputs)
            ]
            result = T.arg("out", T.buffer(signature.output.shape, signature.output.dtype))
            out = T.decl_buffer(
                (signature.output.elements,), signature.output.dtype, data=result.data
            )
            remaining = iter(params)
            for index, (buffer, spec) in enumerate(zip(buffers, signature.inputs)):
                T.add_to_parent(tirx.Bind(next(remaining), buffer.data))
                if index in row_arguments:
                    T.add_to_parent(tirx.Bind(next(remaining), tirx.const(spec.rows, "int32")))
            out_row = next(remaining)
            body = [tirx.Bind(out_row, tirx.address_of(out[row * signature.output.row_stride]))]
            if size := operator.scratch_bytes(signature):
                scratch = T.alloc_buffer((size,), "int8")
                body.append(tirx.Bind(next(remaining), scratch.data))
            body.append(kernel.body)
            loop = tirx.For(row, 0, signature.output.rows, tirx.ForKind.SERIAL, tirx.SeqStmt(body))
            T.add_to_parent(loop)
    function = builder.get()
    # TVM's analyses look for reshapes among functions of one input and expect a root block there.
    root = SBlockRealize([], True, SBlock([], [], [], "root", function.body))
    return tvm.s_tir.renew_defs(function.with_body(root))
