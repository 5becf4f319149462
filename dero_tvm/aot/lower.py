"""From TIR row kernels to C functions through TVM's code generator.

``tvm.tirx.build`` wraps every function for TVM's runtime, which a microcontroller does not have.
Row kernels are plain functions over pointers, so they go through the lowering passes and straight
to the code generator.  The C generator's file carries TVM's headers and untyped parameters; only
the function bodies are taken from it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import tvm
from tvm import s_tir, tirx

from ..kernels.float_literals import FloatLiterals
from .kernel_body import tidy_body
from .named_values import name_values

_S = s_tir.transform
_T = tirx.transform

_BODY = re.compile(r"^TVM_DLL void (\w+)\(([^)]*)\) (\{\n.*?^\})$", re.MULTILINE | re.DOTALL)


def lowering() -> list[tvm.transform.Pass]:
    """Passes from schedulable TIR to what the code generators take."""
    return [
        _S.CanonicalizeLoop(),
        _S.LowerInitBlock(),
        _S.PlanAndUpdateBufferAllocationLocation(),
        _S.ConvertBlocksToOpaque(),
        _S.CompactBufferAllocation(),
        _S.LowerMatchBuffer(),
        _T.StmtSimplify(),
        _S.LowerOpaqueBlock(),
        _T.FlattenBuffer(),
        _T.NarrowDataType(32),
        _S.LoopPartition(),
        _T.StorageRewrite(),
        _T.StmtSimplify(),
        _T.RemoveNoOp(),
        _T.CommonSubexprElim(),
    ]


def _module(functions: Mapping[str, tirx.PrimFunc]) -> tvm.IRModule:
    return tvm.IRModule({tvm.ir.GlobalVar(name): f for name, f in functions.items()})


@cache
def _c_target() -> tvm.target.Target:
    """The target of the generator of C."""
    return tvm.target.Target({"kind": "c"})


# TVM's rules for C lack it.
tirx.register_intrin_lowering(
    "tirx.fabs",
    target="c",
    f=lambda op: tirx.call_pure_extern(
        op.ty, "fabs" if op.ty.dtype == "float64" else "fabsf", *op.args
    ),
)


@dataclass(frozen=True)
class CFunction:
    """Parameter names and body, ``{ ... }``, of a C function."""

    parameters: tuple[str, ...]
    body: str


def c_functions(functions: Mapping[str, tirx.PrimFunc]) -> dict[str, CFunction]:
    """The given kernels in C."""
    target = _c_target()
    module = _T.BindTarget(target)(_module(functions))
    for step in [*lowering(), _T.LowerIntrin()]:
        module = step(module)
    literals = FloatLiterals()
    for name, function in module.functions_items():
        module.update_func(name, literals.hide(name_values(function)))
    source = tvm.get_global_func("target.build.c")(module, target).inspect_source()
    source = literals.restore(source)
    bodies = {
        match[1]: CFunction(
            tuple(parameter.split()[-1].lstrip("*") for parameter in match[2].split(",")),
            tidy_body(match[3]),
        )
        for match in _BODY.finditer(source)
    }
    missing = functions.keys() - bodies.keys()
    if missing:
        raise RuntimeError(f"TVM's C generator gave no code for {sorted(missing)}")
    return bodies
