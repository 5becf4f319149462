"""LLVM IR for the host, in two steps through TVM's code generator.

TVM tells LLVM that pointers of different names never point at the same memory (type-based alias
metadata, one type a buffer).  In an arena they do: one kernel's output is the next one's input,
and once both are inlined into one function LLVM would move the loads before the stores.  So the
kernels are first generated without optimization, the claims are deleted from their text, and the
program that is optimized imports that text.
"""

from __future__ import annotations

import re

import tvm
from tvm import tirx

from .lower import lowering

_T = tirx.transform

# Beside the claims, what each module may have only once, and all that hangs on it.
_DELETED = re.compile(
    r",? !tbaa !\d+|,? !dbg !\d+|^ *#dbg_.*\n|^!llvm\.(?:module\.flags|dbg\.cu) = .*\n",
    re.MULTILINE,
)
# TVM names the types of aliases after the addresses of its own variables.
_ADDRESS = re.compile(r'(?<=!\{!")0x[0-9a-f]+')
# More optimization takes LLVM half as long again for a program that is as quick.
_QUICK = {"kind": "llvm", "opt-level": 1}
_BODY = "_body"
PART = "dero.part"
"""Attribute of a function that stands for a part of a large entry."""


def llvm_ir(module: tvm.IRModule) -> str:
    """A module of private functions and one public entry as LLVM IR for this machine.

    Where functions have the attribute `PART`, LLVM keeps them and the kernels apart: they are not
    inlined into one function.  A part leaves what other parts see to kernels: TVM would make claims
    about the part's own stores, under names that no other part knows.

    TVM loads such a file and compiles it just in time.
    """
    target = tvm.target.Target(_QUICK)
    module = _T.BindTarget(target.with_host(target))(module)
    packing = [_T.AnnotateEntryFunc(), _T.SplitHostDevice(), _T.MakePackedAPI()]
    for step in [*lowering(), *packing]:
        module = step(module)
    # LowerTVMBuiltin wants to know on which device an allocation lives, which only an entry
    # function says; the kernels have nothing it could lower.
    entry = _T.Filter(lambda function: _calling_convention(function) != 0)(module)
    private = _T.Filter(lambda function: _calling_convention(function) == 0)(module)
    parts = _T.Filter(lambda function: PART in function.attrs)(private)
    kernels = _calls_of(_T.Filter(lambda function: PART not in function.attrs)(private))
    entry = _T.LowerTVMBuiltin()(entry)
    entry.update(_exported(kernels) if parts.functions else kernels)
    entry.update(_exported(parts))
    built = tvm.get_global_func("target.build.llvm")(_T.LowerIntrin()(entry), target)
    # LLVM's own reader refuses the storage class that TVM writes on private functions.
    return _with_steady_names(built.inspect_source("ll").replace("private dllexport ", "private "))


def _with_steady_names(text: str) -> str:
    """`text` with numbers for addresses, so that equal modules give equal texts."""
    numbers: dict[str, int] = {}
    return _ADDRESS.sub(lambda m: f"memory{numbers.setdefault(m[0], len(numbers))}", text)


def _calls_of(kernels: tvm.IRModule) -> tvm.IRModule:
    """Each kernel as a call of the code that `_unoptimized` made of it."""
    pending = tvm.ir.StringImm(_unoptimized(kernels))
    calls: dict[tvm.ir.GlobalVar, tirx.PrimFunc] = {}
    for name, function in kernels.functions_items():
        call = tirx.call_extern("void", f"{name.name_hint}{_BODY}", *function.params)
        body = tirx.Evaluate(call)
        if not calls:  # one import serves the whole program
            body = tirx.AttrStmt(tirx.const(0, "int32"), "pragma_import_llvm", pending, body)
        calls[name] = function.with_body(body)
    return tvm.IRModule(calls)


def _unoptimized(kernels: tvm.IRModule) -> str:
    """The kernels as LLVM IR that says nothing about aliases."""
    target = tvm.target.Target({"kind": "llvm", "opt-level": 0})
    public = {  # under their own variables, for one may call another
        name: function.with_attr("global_symbol", f"{name.name_hint}{_BODY}")
        for name, function in kernels.functions_items()
    }
    module = _T.BindTarget(target)(tvm.IRModule(public))
    built = tvm.get_global_func("target.build.llvm")(_T.LowerIntrin()(module), target)
    return _DELETED.sub("", built.inspect_source("ll"))


def _exported(functions: tvm.IRModule) -> tvm.IRModule:
    """Functions that others could call by their names, which LLVM inlines only if they are small.

    It inlines a private function wherever it is called only once, however large.
    """
    return tvm.IRModule(
        {
            name: function.with_attr("global_symbol", name.name_hint)
            for name, function in functions.functions_items()
        }
    )


def _calling_convention(function: tirx.PrimFunc) -> int:
    return int(function.attrs.get("calling_conv", 0))
