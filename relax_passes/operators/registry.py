"""The operators of the operator set by name, and how they become Relax operators.

TVM's own convolution knows neither a fused bias nor fixed-point requantization, and says nothing
of rows.  The operators here do.  Each is registered with TVM as ``dero.<name>`` with a type
inference and a legalization, so a module that uses them is an ordinary Relax module: it prints,
compares structurally, and ``tvm.compile`` builds and runs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tvm
from tvm import relax, tirx
from tvm.ir import Call, Op
from tvm.ir import _ffi_api as _ir_ffi

from .identity_memo import IdentityMemo
from .operator import Operator, OperatorClass, Span
from .signature import Signature, TensorSpec
from .whole import whole_operator

__all__ = ["Operator", "OperatorClass", "Span"]  # that operators register with no other import

PREFIX = "dero."
REQUIRED = object()
_OPERATORS: dict[str, Operator] = {}
_signatures: IdentityMemo[Signature] = IdentityMemo()
_specs: IdentityMemo[TensorSpec] = IdentityMemo()


def register(cls: type[Operator]) -> type[Operator]:
    """Class decorator: enters the operator here and in TVM's operator registry."""
    operator = cls()
    full_name = PREFIX + cls.name
    _OPERATORS[full_name] = operator
    if full_name in Op.list_op_names():  # the module was imported twice
        return cls
    _ir_ffi.RegisterOp(full_name, (cls.__doc__ or cls.name).splitlines()[0])
    tvm.ir.register_op_attr(full_name, "FInferType", lambda call, _: _infer_type(call))
    tvm.ir.register_op_attr(full_name, "FPurity", True)
    # What TVM's printer calls it where it has no attributes; without a name it prints a warning.
    tvm.ir.register_op_attr(full_name, "TScriptPrinterName", full_name)
    tvm.ir.register_op_attr(full_name, "FLegalize", _legalize)
    return cls


def register_for_schedules(cls: type[Operator]) -> type[Operator]:
    """Class decorator: enters an operator that stands in row schedules, not in Relax modules."""
    _OPERATORS[PREFIX + cls.name] = cls()
    return cls


def operator_of(call_or_name: Any) -> Operator | None:
    """The operator of a Relax call (or of a name like ``dero.conv2d``); None if it is not ours."""
    if isinstance(call_or_name, str):
        return _OPERATORS.get(call_or_name)
    if isinstance(call_or_name, Call) and isinstance(call_or_name.op, Op):
        return _OPERATORS.get(call_or_name.op.name)
    return None


def implementation(signature: Signature) -> Operator:
    """The operator of a signature that one of the set has; ``KeyError`` for any other."""
    return _OPERATORS[signature.operator]


def make_call(name: str, args: Sequence[relax.Expr], **attrs: Any) -> Call:
    """Build a call of operator `name` (without prefix), filling in default attributes."""
    operator = _OPERATORS[PREFIX + name]
    unknown = sorted(set(attrs) - set(operator.defaults))
    missing = [k for k, v in operator.defaults.items() if v is REQUIRED and k not in attrs]
    if unknown or missing:
        raise TypeError(f"{PREFIX}{name}: unknown attributes {unknown}, missing {missing}")
    values = {k: _plain(attrs.get(k, v)) for k, v in operator.defaults.items()}
    node = tvm.ir.make_node("ir.DictAttrs", **values) if values else None
    return Call(Op.get(PREFIX + name), list(args), node)


def signature_of(call: Call) -> Signature:
    """The signature of a Relax call to one of this project's operators."""
    name, types = call.op.name, [arg.ty for arg in call.args[:]]
    return _signatures.get((name, call.attrs, *types), lambda: _signature(call, types))


def _signature(call: Call, types: Sequence[relax.TensorType]) -> Signature:
    inputs = tuple(map(spec_of, types))
    attrs = attributes_of(call)
    output = _OPERATORS[call.op.name].infer(inputs, attrs)
    return Signature(call.op.name, inputs, output, attrs)


def attributes_of(call: Call) -> dict[str, Any]:
    """The attributes of a call as plain Python values, defaults included."""
    given = dict(call.attrs.items()) if call.attrs is not None else {}
    operator = operator_of(call)
    defaults = operator.defaults if operator is not None else {}
    return {k: _plain(given.get(k, v)) for k, v in defaults.items()}


def spec_of(ty: relax.TensorType) -> TensorSpec:
    """Shape and dtype of a Relax tensor type with static shape."""
    if not isinstance(ty, relax.TensorType) or ty.shape is None:
        raise ValueError(f"expected a tensor with a known shape, got {ty}")
    return _specs.get((ty,), lambda: _spec(ty))


def _spec(ty: relax.TensorType) -> TensorSpec:
    try:
        shape = tuple([int(dim) for dim in ty.shape.values[:]])
    except TypeError:
        raise ValueError(f"expected a static shape, got {ty}") from None
    return TensorSpec(shape, str(ty.dtype))


def _plain(value: Any) -> Any:
    """TVM containers and immediates as the Python values they stand for."""
    if isinstance(value, (str, bool, int, float)) or value is None:
        return value
    if isinstance(value, (tirx.IntImm, tirx.FloatImm)):
        return value.value
    if hasattr(value, "item"):
        return value.item()
    return tuple(_plain(v) for v in value)


def _infer_type(call: Call) -> relax.TensorType:
    spec = signature_of(call).output
    return relax.TensorType(spec.shape, spec.dtype)


def _legalize(builder: relax.BlockBuilder, call: Call) -> relax.Expr:
    signature = signature_of(call)
    function = whole_operator(_OPERATORS[call.op.name], signature)
    name = call.op.name.removeprefix(PREFIX)
    return relax.call_tir(builder.add_func(function, name), list(call.args), call.ty)
