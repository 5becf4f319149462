"""The base class of the project's operators, and how they become Relax operators.

TVM's own convolution knows neither a fused bias nor fixed-point requantization, and says nothing
of rows.  The operators here do.  Each is registered with TVM as ``dero.<name>`` with a type
inference and a legalization, so a module that uses them is an ordinary Relax module: it prints,
compares structurally, and ``tvm.compile`` builds and runs it.

One subclass of :class:`Operator` states everything the compiler knows of an operator: its type
rule, the input rows an output row needs, its arithmetic cost, its row kernel.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Any, ClassVar

import tvm
from tvm import relax, tirx
from tvm.ir import Call, Op
from tvm.ir import _ffi_api as _ir_ffi

from .signature import Signature, TensorSpec
from .whole import whole_operator

PREFIX = "dero."


class OperatorClass(enum.Enum):
    """What an operator needs of memory; the vocabulary of ``ClassifyOperators``."""

    ELEMENTWISE = "elementwise"  # output element i depends on element i of each operand
    POINTWISE = "pointwise convolution"
    DEPTHWISE = "depthwise convolution"
    SPATIAL = "spatial convolution"
    POOLING = "pooling"
    RESIZE = "resize"
    CONCAT = "concat"
    REDUCTION = "reduction"
    LAYOUT = "layout"  # moves elements, computes nothing
    OPAQUE = "opaque"  # everything else: needs its inputs whole


class Operator:
    """One operator of the microcontroller operator set.

    The row kernel is a ``PrimFunc`` over raw pointers that computes **one output row**.  Its
    parameters are, in order::

        row : int32                         index of the output row
        for every tensor argument:
            <name> : handle(dtype)          base of the buffer that holds its rows
            <name>_rows : int32             ring height, only for arguments in `row_arguments`
        out : handle(dtype)                 where the output ROW goes (not the tensor's base)
        scratch : handle("int8")            only if `scratch_bytes` is not 0

    Row ``i`` of a row argument lies at element offset ``(i % <name>_rows) * row_stride``: a whole
    tensor is a ring as high as the tensor.  A kernel reads only rows in ``needed_rows``, writes
    only the output row, and may be called with ``out`` on top of an operand's row when
    ``in_place_arguments`` lists that operand.  It respects the pixel strides of its row arguments
    and of its output: any of them may be a slice of a concatenation.
    """

    name: ClassVar[str]
    arguments: ClassVar[tuple[str, ...]]
    """Names of the tensor arguments.  A variadic operator overrides `argument_names`."""

    memory_class: ClassVar[OperatorClass] = OperatorClass.OPAQUE
    """What it needs of memory.  Where that depends on the call, it overrides `operator_class`."""

    defaults: ClassVar[dict[str, Any]] = {}
    """Attributes with their default values; attributes without a default map to `REQUIRED`."""

    # --- types -------------------------------------------------------------------------------

    def infer(self, inputs: tuple[TensorSpec, ...], attrs: dict[str, Any]) -> TensorSpec:
        """The result's shape and type.  Raises ``ValueError`` with a clear reason if invalid."""
        raise NotImplementedError

    def argument_names(self, signature: Signature) -> tuple[str, ...]:
        return self.arguments[: len(signature.inputs)]

    # --- what memory planning asks -----------------------------------------------------------

    def operator_class(self, signature: Signature) -> OperatorClass:
        return self.memory_class

    def row_arguments(self, signature: Signature) -> tuple[int, ...]:
        """Indices of the arguments that are read row by row (by default the first)."""
        return (0,)

    def needed_rows(self, signature: Signature, argument: int, row: int) -> tuple[int, int]:
        """Half-open range of rows of `argument` that output row `row` reads (default: all)."""
        return 0, signature.inputs[argument].rows

    def in_place_arguments(self, signature: Signature) -> tuple[int, ...]:
        """Arguments whose row `row` the kernel may overwrite with output row `row`."""
        return ()

    def scratch_bytes(self, signature: Signature) -> int:
        return 0

    def macs(self, signature: Signature) -> int:
        """Multiply-accumulates of the whole operator."""
        return 0

    def absorbs(self, signature: Signature) -> TensorSpec | None:
        """The state with which the operator can take its input one row at a time, if it can.

        An operator whose only output row depends on every input row (a global pooling) would
        need its input whole.  Instead, inside a cascade, its `absorbing_kernel` is called once
        for each input row, in ascending order, and keeps partial results in the state.
        """
        return None

    # --- kernels -----------------------------------------------------------------------------

    def row_kernel(self, signature: Signature) -> tirx.PrimFunc:
        """The portable row kernel (see the class for its parameters)."""
        raise NotImplementedError

    def absorbing_kernel(self, signature: Signature) -> tirx.PrimFunc:
        """The kernel that takes input row ``row`` into the state; only if `absorbs`.

        Parameters are those of a row kernel, then ``state : handle(dtype)``.  The first row
        initializes the state, the last one writes the output row, with the same bits as
        `row_kernel`.
        """
        raise NotImplementedError


REQUIRED = object()
_OPERATORS: dict[str, Operator] = {}


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
    inputs = tuple(spec_of(arg.ty) for arg in call.args)
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
    try:
        shape = tuple([int(dim) for dim in ty.shape.values])
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
    operator = _OPERATORS[call.op.name]
    inputs = tuple(spec_of(arg.ty) for arg in call.args)
    spec = operator.infer(inputs, attributes_of(call))
    return relax.TensorType(spec.shape, spec.dtype)


def _legalize(builder: relax.BlockBuilder, call: Call) -> relax.Expr:
    signature = signature_of(call)
    function = whole_operator(_OPERATORS[call.op.name], signature)
    name = call.op.name.removeprefix(PREFIX)
    return relax.call_tir(builder.add_func(function, name), list(call.args), call.ty)
