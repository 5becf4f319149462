"""Operators outside the project's set, compiled by TVM's own legalization.

TVM gives a function over tensor parameters with allocations of its own.  On a microcontroller it
takes plain pointers, its allocations must lie in the arena, where they are counted, and there are
no threads; so it is rewritten: parameters become pointers, allocations slices of one scratch
pointer, and loops serial.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import tvm
import tvm_ffi
from tvm import relax, tirx
from tvm.ir import Call
from tvm.s_tir import SBlock, SBlockRealize
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script import builder as T

from dero_tvm.boundary.errors import UserError, first_line
from relax_passes.ir.straight_line import read_function
from relax_passes.ir.unfinished import abandoned_on_failure
from relax_passes.operators import TensorSpec, spec_of

_SCRATCH_ALIGNMENT = 8


def opaque_operation(
    call: Call, module: tvm.IRModule
) -> tuple[tirx.PrimFunc, int, Sequence[relax.Expr]]:
    """A kernel for a call that is not of this project's set, its scratch bytes, its operands.

    `module` has the function that the call names if it is a `call_tir`, as TVM's importers emit
    for some operators.  The kernel's parameters are one pointer an operand, one for the output
    and, if scratch is not 0, one for scratch.
    """
    if not isinstance(call.ty, relax.TensorType):
        raise UserError(
            f"operator {opaque_name(call)} has several results, which only operators of this "
            "project's set may have"
        )
    if call.op.name == "relax.call_tir":
        function: tirx.PrimFunc = module[call.args[0]]
        arguments: Sequence[relax.Expr] = list(call.args[1].fields)
    else:
        function, arguments = _legalized(call)
    if len(function.params) != len(arguments) + 1 or not _has_root(function):
        raise UserError(f"operator {opaque_name(call)} is no static kernel over plain tensors")
    _refuse_other_types(call, function, arguments)
    function = function.with_body(_in_sequence(function.body))
    return _with_pointers(function), _scratch_bytes(function), arguments


def _refuse_other_types(
    call: Call, function: tirx.PrimFunc, arguments: Sequence[relax.Expr]
) -> None:
    """Raises :class:`UserError` if the kernel's tensors are not those that the module declares.

    TVM infers a call's type and generates its kernel in two places, which do not always agree (an
    average of int32 is declared int32 and computed as int64); a buffer of the declared size would
    be overrun, and its readers would take halves of elements.
    """
    for buffer, tensor in zip(function.params, [*arguments, call]):
        kernel = TensorSpec(tuple(int(dim) for dim in buffer.shape), str(buffer.dtype))
        declared = spec_of(tensor.ty)
        if (kernel.dtype, kernel.elements) != (declared.dtype, declared.elements):
            raise UserError(
                f"operator {opaque_name(call)} cannot be compiled (TVM's kernel has {kernel.dtype} "
                f"of shape {kernel.shape} where the model declares {declared.dtype} of shape "
                f"{declared.shape}); replace it in the model"
            )


def opaque_name(call: Call) -> str:
    """What messages call the operator."""
    if call.op.name == "relax.call_tir":
        return str(call.args[0].name_hint)
    return str(call.op.name)


def _in_sequence(body: tirx.Stmt) -> tirx.Stmt:
    """Loops that TVM would spread over threads, of which C has none, one turn after the other."""

    def serial(loop: tirx.For) -> tirx.For:
        if loop.kind == tirx.ForKind.SERIAL:
            return loop
        return tirx.For(loop.loop_var, loop.min, loop.extent, tirx.ForKind.SERIAL, loop.body)

    return tvm_ffi.structural_map(body, [(tirx.For, serial)])


def _has_root(function: tirx.PrimFunc) -> bool:
    return isinstance(function.body, SBlockRealize)


def _legalized(call: Call) -> tuple[tirx.PrimFunc, Sequence[relax.Expr]]:
    try:
        return _legalize(call)
    except UserError:
        raise
    except Exception as error:  # TVM's legalizations assert and raise freely
        raise UserError(
            f"operator {opaque_name(call)} cannot be compiled ({first_line(error)}); replace it "
            "in the model"
        ) from error


def _legalize(call: Call) -> tuple[tirx.PrimFunc, Sequence[relax.Expr]]:
    """The call alone in a module, through LegalizeOps."""
    arguments = _tensor_arguments(call)
    params = {
        arg: relax.Var(f"operand{i}", arg.ty) for i, arg in enumerate(dict.fromkeys(arguments))
    }
    builder = relax.BlockBuilder()
    with abandoned_on_failure(builder), builder.function("main", list(params.values())):
        with builder.dataflow():
            new_args = [_replace(arg, params) for arg in call.args]
            result = builder.emit_output(Call(call.op, new_args, call.attrs))
        builder.emit_func_output(result)
    _try_legalization(call, params)
    legalized = relax.transform.LegalizeOps()(builder.get())
    legalized = relax.transform.FuseTIR()(relax.transform.FoldConstant()(legalized))
    calls = [value for _, value in read_function(legalized).bindings if isinstance(value, Call)]
    if len(calls) != 1 or calls[0].op.name != "relax.call_tir":
        raise UserError(
            f"operator {call.op.name} has no implementation as a static kernel; replace it in the "
            "model"
        )
    inverse = {var: arg for arg, var in params.items()}
    operands = [inverse.get(arg, arg) for arg in calls[0].args[1].fields]
    return legalized[calls[0].args[0]], operands


def _try_legalization(call: Call, params: dict) -> None:
    """Raises what the operator's legalization does: inside LegalizeOps TVM would add a warning."""
    legalization = call.op.get_attr("FLegalize")
    if legalization is None:
        return
    builder = relax.BlockBuilder()
    with abandoned_on_failure(builder), builder.function("main", list(params.values())):
        with builder.dataflow():
            again = builder.normalize(
                Call(call.op, [_replace(a, params) for a in call.args], call.attrs)
            )
            result = builder.emit_output(legalization(builder, again))
        builder.emit_func_output(result)


def _tensor_arguments(call: Call) -> list[relax.Expr]:
    flat: list[relax.Expr] = []
    for arg in call.args:
        fields = arg.fields if isinstance(arg, relax.Tuple) else [arg]
        flat.extend(f for f in fields if isinstance(f.ty, relax.TensorType) and _is_var(f))
    return flat


def _is_var(expr: relax.Expr) -> bool:
    return isinstance(expr, tvm.ir.Var)


def _replace(arg: relax.Expr, params: dict) -> relax.Expr:
    if isinstance(arg, relax.Tuple):
        return relax.Tuple([_replace(field, params) for field in arg.fields])
    return params[arg] if _is_var(arg) and arg in params else arg


def _allocations(function: tirx.PrimFunc) -> list[tirx.Buffer]:
    return list(function.body.block.alloc_buffers)


def _bytes(buffer: tirx.Buffer) -> int:
    size = prod(int(dim) for dim in buffer.shape) * tvm.DataType(str(buffer.dtype)).itemsize
    return -(-size // _SCRATCH_ALIGNMENT) * _SCRATCH_ALIGNMENT


def _scratch_bytes(function: tirx.PrimFunc) -> int:
    return sum(_bytes(buffer) for buffer in _allocations(function))


def _with_pointers(function: tirx.PrimFunc) -> tirx.PrimFunc:
    root = function.body.block
    allocations = _allocations(function)
    with IRBuilder() as builder:
        with T.prim_func(private=True, s_tir=True):
            T.func_attr({"tirx.noalias": False})
            handles = [T.arg(p.name, T.handle(str(p.dtype))) for p in function.params]
            for param, handle in zip(function.params, handles):
                if isinstance(param.elem_offset, tirx.Var):  # where a tensor may begin in a larger
                    start = tirx.const(0, str(param.elem_offset.ty))
                    T.add_to_parent(tirx.Bind(param.elem_offset, start))
                T.add_to_parent(tirx.DeclBuffer(param, data=handle))
            if allocations:
                scratch_ptr = T.arg("scratch", T.handle("int8"))
                scratch = T.decl_buffer((_scratch_bytes(function),), "int8", data=scratch_ptr)
                offset = 0
                for buffer in allocations:
                    address = tirx.address_of(scratch[offset])
                    pointer = T.reinterpret(T.handle(str(buffer.dtype)).ty, address)
                    T.add_to_parent(tirx.DeclBuffer(buffer, data=pointer))
                    offset += _bytes(buffer)
            bare = SBlock([], [], [], "root", root.body)
            T.add_to_parent(SBlockRealize([], True, bare))
    return tvm.s_tir.renew_defs(builder.get())
