"""Functions of single elements.

- constants: computed; casts and clips that change nothing are identities;
- spelling: a cast of 8 bits to float32 is a dequantization with scale 1;
- layout: as their operand;
- selection: with a clamp, `dero.unary`; a clamp of integers is a `dero.lookup` or, in int16, a
  `dero.requantize`;
- elementwise regions: all that have a value here;
- LiteRT's tables: those of its int8 kernels;
- element sums: on single elements of moved tensors;
- channel selection: channel by channel;
- the network's description: an activation.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from tvm import relax

from ...canonicalization.channels_last import FOLLOWS, LAYOUT, always_follows, keep_layout
from ...canonicalization.decompose import SPELLINGS, SpellingRewriter
from ...canonicalization.element_sums import ElementSum
from ...canonicalization.elementwise_region import VALUES
from ...canonicalization.fold_constants import (
    CONSTANT_ARITHMETIC,
    CONSTANT_MOVES,
    IDENTITIES,
    clip_bounds,
)
from ...canonicalization.integer_tables import LITERT_TABLES
from ...canonicalization.moves import always
from ...canonicalization.region_reader import ON_KNOWN, READERS, UNUSUAL, RegionReader
from ...canonicalization.select_operators import SELECTION, SelectionRewriter, check_float32
from ...ir.constant_tensor import ConstantTensor
from ...ir.dataflow import Dataflow, dtype_of, is_call, shape_of
from ...ir.operator_graph import Node
from ...reorganization.channel_selection import NARROWING, same_channels
from ...reorganization.description import Activation
from ...reorganization.partial_description import DESCRIPTION, DescribedTensor, PartialDescription
from ...shortcuts.channel_sums import NotLinear
from .. import tables
from ..fixed_point import INT8, INT8_MAX

_erf = np.vectorize(math.erf, otypes=[np.float64])


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-x))


def _gelu_tanh(x: np.ndarray) -> np.ndarray:
    return 0.5 * x * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))


@dataclass(frozen=True)
class _Function:
    """What a function of one element, without attributes, is to the phases."""

    values: Callable[[np.ndarray], np.ndarray] | None
    dero: str | None = None  # `function` of `dero.unary`
    table: Callable[..., np.ndarray] | None = None  # LiteRT's


_FUNCTIONS = {
    "relax.abs": _Function(np.abs, "abs", tables.absolute),
    "relax.acos": _Function(np.arccos, "acos"),
    "relax.acosh": _Function(np.arccosh, "acosh"),
    "relax.asin": _Function(np.arcsin, "asin"),
    "relax.asinh": _Function(np.arcsinh, "asinh"),
    "relax.astype": _Function(None),
    "relax.atan": _Function(np.arctan, "atan"),
    "relax.atanh": _Function(np.arctanh, "atanh"),
    "relax.ceil": _Function(np.ceil, "ceil"),
    "relax.cos": _Function(np.cos, "cos"),
    "relax.cosh": _Function(np.cosh, "cosh"),
    "relax.erf": _Function(_erf, "erf"),
    "relax.exp": _Function(np.exp, "exp", tables.exp),
    "relax.floor": _Function(np.floor, "floor"),
    "relax.log": _Function(np.log, "log", tables.log),
    "relax.negative": _Function(np.negative, "negative"),
    "relax.nn.gelu": _Function(
        lambda x: 0.5 * x * (1.0 + _erf(x * math.sqrt(0.5))), "gelu", tables.gelu
    ),
    "relax.nn.gelu_tanh": _Function(
        _gelu_tanh, "gelu_tanh", partial(tables.gelu, approximate=True)
    ),
    "relax.nn.relu": _Function(lambda x: np.maximum(x, 0.0), None, tables.relu),
    "relax.nn.silu": _Function(lambda x: x * _sigmoid(x), "silu"),
    "relax.nn.softplus": _Function(None),
    "relax.round": _Function(np.rint, "round"),
    "relax.rsqrt": _Function(lambda x: 1.0 / np.sqrt(x), "rsqrt", tables.rsqrt),
    "relax.sigmoid": _Function(_sigmoid, "sigmoid", tables.logistic),
    "relax.sign": _Function(np.sign, "sign"),
    "relax.sin": _Function(np.sin, "sin"),
    "relax.sinh": _Function(np.sinh, "sinh"),
    "relax.sqrt": _Function(np.sqrt, "sqrt", tables.sqrt),
    "relax.square": _Function(np.square),
    "relax.tan": _Function(np.tan, "tan"),
    "relax.tanh": _Function(np.tanh, "tanh", tables.tanh),
    "relax.trunc": _Function(np.trunc, "trunc"),
}
_ALL = (*_FUNCTIONS, "relax.clip", "relax.nn.leakyrelu")


CONSTANT_ARITHMETIC.register("relax.abs")(np.abs)
CONSTANT_ARITHMETIC.register("relax.ceil")(np.ceil)
CONSTANT_ARITHMETIC.register("relax.floor")(np.floor)
CONSTANT_ARITHMETIC.register("relax.negative")(np.negative)
CONSTANT_ARITHMETIC.register("relax.sqrt")(np.sqrt)
IDENTITIES.register("relax.astype")(always)


@CONSTANT_MOVES.register("relax.clip")
def _bounded(call: Any, value: ConstantTensor) -> ConstantTensor:
    """Of any type: an infinite bound, which TVM would make an integer, is none."""
    low, high = clip_bounds(call)
    array = value.real()
    array = array if low == -math.inf else np.maximum(array, array.dtype.type(low))
    array = array if high == math.inf else np.minimum(array, array.dtype.type(high))
    return ConstantTensor(array.astype(dtype_of(call)))


@IDENTITIES.register("relax.clip")
def _clips_nothing(call: Any) -> bool:
    low, high = clip_bounds(call)
    dtype = dtype_of(call)
    if "int" in dtype:
        limits = np.iinfo(dtype)
        return low <= limits.min and high >= limits.max
    return low == -math.inf and high == math.inf


@SPELLINGS.register("relax.astype")
def _cast(rewriter: SpellingRewriter, call: Any) -> relax.Expr | None:
    """The pixels of an image, whose integers stand for themselves; truth values as 1 and 0."""
    data = call.args[0]
    if dtype_of(data) == "bool" and dtype_of(call) in ("float32", "int8"):
        one, zero = (relax.const(number, dtype_of(call)) for number in (1, 0))
        return relax.op.where(rewriter.new(data), one, zero)
    if dtype_of(data) not in ("int8", "uint8") or dtype_of(call) != "float32" or not shape_of(call):
        return None
    if is_call(rewriter.old.definition(data), "relax.astype"):
        return None  # integers that are computed are no pixels
    one, zero = relax.const(1.0, "float32"), relax.const(0, dtype_of(data))
    return relax.op.dequantize(rewriter.new(data), one, zero, axis=0)


@READERS.register("relax.astype")
def _detour(reader: RegionReader, call: Any) -> ElementSum:
    """To double and back, of what is rounded once."""
    if {dtype_of(call), dtype_of(call.args[0])} - {"float32", "float64"}:
        raise NotLinear("is rounded to another type")
    return reader.value(call.args[0])


@UNUSUAL.register("relax.astype")
def _is_detour(_old: Dataflow, call: Any) -> bool:
    return dtype_of(call.args[0]) == "float32" and dtype_of(call) == "float64"


LAYOUT.register(*_ALL)(keep_layout)
FOLLOWS.register(*_ALL)(always_follows)


@SELECTION.register(*(name for name, f in _FUNCTIONS.items() if f.dero), "relax.nn.leakyrelu")
def _select(rewriter: SelectionRewriter, var: relax.Var, call: Any) -> relax.Expr:
    check_float32(call.args[0])
    attrs = {"alpha": float(call.attrs.alpha)} if is_call(call, "relax.nn.leakyrelu") else {}
    known = _FUNCTIONS.get(call.op.name)
    function = "leaky_relu" if known is None else known.dero
    return rewriter.clamped(var, "unary", [call.args[0]], function=function, **attrs)


@SELECTION.register("relax.square")
def _select_square(rewriter: SelectionRewriter, var: relax.Var, call: Any) -> relax.Expr:
    check_float32(call.args[0])
    return rewriter.clamped(var, "multiply", [call.args[0], call.args[0]])


@SELECTION.register("relax.nn.relu", "relax.clip")
def _select_clamp(rewriter: SelectionRewriter, var: relax.Var, call: Any) -> relax.Expr:
    """`relu` or `clip` that no operator before it could take over."""
    data = rewriter.new(call.args[0])
    if dtype_of(call.args[0]) == "int16":
        low, high = clip_bounds(call) if is_call(call, "relax.clip") else (0.0, math.inf)
        return rewriter.dero(
            "requantize",
            [data],
            multiplier=1 << 30,
            shift=1,
            dtype="int16",
            minimum=None if low == -math.inf else math.ceil(low),
            maximum=None if high == math.inf else math.floor(high),
        )
    if dtype_of(call.args[0]) == "int8":
        low, high = clip_bounds(call) if is_call(call, "relax.clip") else (0.0, float(INT8_MAX))
        table = np.clip(INT8, low, high).astype(np.int8)
        return rewriter.dero("lookup", [data, relax.const(table)])
    if is_call(call, "relax.nn.relu"):
        return rewriter.clamped(var, "unary", [call.args[0]], function="relu")
    low, high = clip_bounds(call)
    bounds = {
        "minimum": None if low == -math.inf else low,
        "maximum": None if high == math.inf else high,
    }
    return rewriter.dero("unary", [data], function="clip", **bounds)


def _register(name: str, function: _Function) -> None:
    values, table = function.values, function.table
    if values is not None:
        VALUES.register(name)(lambda _call, x: values(x))
    if table is not None:
        LITERT_TABLES.register(name)(lambda _call, scales: table(scales))


for _name, _function in _FUNCTIONS.items():
    _register(_name, _function)


@VALUES.register("relax.clip")
def _clip_values(call: Any, x: np.ndarray) -> np.ndarray:
    return np.clip(x, *clip_bounds(call))


@VALUES.register("relax.nn.leakyrelu")
def _leaky_relu_values(call: Any, x: np.ndarray) -> np.ndarray:
    return np.where(x >= 0, x, x * float(np.float32(call.attrs.alpha)))


@LITERT_TABLES.register("relax.clip")
def _clip_table(call: Any, scales: tables.Scales) -> np.ndarray:
    return tables.relu(scales, *clip_bounds(call))


@LITERT_TABLES.register("relax.nn.leakyrelu")
def _leaky_relu_table(call: Any, scales: tables.Scales) -> np.ndarray:
    return tables.leaky_relu(scales, float(call.attrs.alpha))


@ON_KNOWN.register(
    *("relax.nn.leakyrelu", "relax.nn.silu", "relax.nn.gelu"),
    *("relax.tanh", "relax.negative", "relax.abs"),
)
def _zero_on_zero(_old: Dataflow, _call: Any, values: np.ndarray) -> np.ndarray:
    if values.any():
        raise NotLinear("applies a function to constants")
    return values


@ON_KNOWN.register("relax.sigmoid", "relax.clip")
def _never_on_known(_old: Dataflow, _call: Any, _values: np.ndarray) -> np.ndarray:
    raise NotLinear("applies a function to constants")


@ON_KNOWN.register("relax.nn.relu")
def _relu_on_known(_old: Dataflow, _call: Any, values: np.ndarray) -> np.ndarray:
    return np.maximum(values, 0.0)


NARROWING.register("dero.unary", "dero.lookup")(same_channels)


@DESCRIPTION.register("dero.unary")
def _describe(description: PartialDescription, name: str, data: Node) -> DescribedTensor:
    (tensor,) = description.operands(name, data)
    (operand,) = data.operands
    attrs = data.signature.attrs
    activation = Activation(*(attrs[k] for k in ("function", "minimum", "maximum")))
    activation = replace(activation, alpha=attrs["alpha"], beta=attrs["beta"])
    if attrs["function"] == "relu":
        activation = Activation("clip", 0.0, attrs["maximum"])
    if operand in description.verdicts.removed:
        return description.joined(name, tensor, activation)
    return description.activated(name, tensor, activation)
