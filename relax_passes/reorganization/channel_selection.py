"""Taking channels away: what an operator becomes when its input loses some.

Where a network loses a concatenation, the operators behind it see fewer channels.  `narrow` gives
the operator for the channels that remain, with its constants sliced.  Most operators hand the
narrower width on; an ordinary convolution or a dense layer absorbs it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
from tvm import relax
from tvm.ir import Call, GenericConst

from ..operators import Signature, attributes_of, make_call, signature_of

Kept = np.ndarray | None
"""Indices of the channels (last axis) that remain, ascending; None if all do."""


class CannotNarrow(Exception):
    """The operator has no counterpart with fewer channels; the message says why."""


def narrow(call: Call, arguments: Sequence[relax.Expr], kept: Sequence[Kept]) -> tuple[Call, Kept]:
    """`call` for operands that have lost channels.

    `arguments` are the new operands in place of ``call.args``, and `kept` says for each which of
    its old channels are left.  Returns the new call and which of its channels are left.  Raises
    `CannotNarrow`.
    """
    name = call.op.name.removeprefix("dero.")
    rule = _RULES.get(name)
    if rule is None:
        raise CannotNarrow(f"{call.op.name} mixes or counts channels")
    signature = signature_of(call)
    operands, attrs, result = rule(signature, list(arguments), list(kept), attributes_of(call))
    return relax.BlockBuilder().normalize(make_call(name, operands, **attrs)), result


_Operands = list[relax.Expr]
_Rule = Callable[
    [Signature, _Operands, list[Kept], dict[str, Any]], tuple[_Operands, dict[str, Any], Kept]
]


def _chosen(kept: list[Kept]) -> np.ndarray:
    """The channels left of an operator's one data operand: rules run only where some are lost."""
    assert kept[0] is not None
    return kept[0]


def _conv2d(signature: Signature, operands: _Operands, kept: list[Kept], attrs: dict) -> tuple:
    data, weight, *vectors = operands
    channels = signature.inputs[0].channels
    if attrs["groups"] == 1:
        return [data, _take(weight, _chosen(kept), 3), *vectors], attrs, None
    if attrs["groups"] != channels:
        raise CannotNarrow(f"a convolution in {attrs['groups']} groups cannot lose single channels")
    each = signature.inputs[1].shape[0] // channels
    chosen = _chosen(kept)
    filters = (chosen[:, None] * each + np.arange(each)).ravel()
    attrs = attrs | {"groups": len(chosen)}
    return [data, *(_take(constant, filters, 0) for constant in (weight, *vectors))], attrs, filters


def _dense(signature: Signature, operands: _Operands, kept: list[Kept], attrs: dict) -> tuple:
    data, weight, *vectors = operands
    return [data, _take(weight, _chosen(kept), 1), *vectors], attrs, None


def _same(signature: Signature, operands: _Operands, kept: list[Kept], attrs: dict) -> tuple:
    return operands, attrs, kept[0]


def _elementwise(signature: Signature, operands: _Operands, kept: list[Kept], attrs: dict) -> tuple:
    channels = signature.output.channels
    chosen = next(k for k in kept if k is not None)
    new: _Operands = []
    for operand, own, spec in zip(operands, kept, signature.inputs):
        if spec.channels == 1 and channels > 1:
            new.append(operand)
        elif isinstance(operand, GenericConst):
            new.append(_take(operand, chosen, len(spec.shape) - 1))
        elif own is not None and np.array_equal(own, chosen):
            new.append(operand)
        else:
            raise CannotNarrow("its other operand keeps other channels")
    return new, attrs, chosen


def _concat(signature: Signature, operands: _Operands, kept: list[Kept], attrs: dict) -> tuple:
    widths = [spec.channels for spec in signature.inputs]
    filled = [np.arange(w) if k is None else k for w, k in zip(widths, kept)]
    if attrs["axis"] % len(signature.output.shape) == len(signature.output.shape) - 1:
        offsets = np.cumsum([0, *widths[:-1]])
        return operands, attrs, np.concatenate([k + o for k, o in zip(filled, offsets)])
    if not all(np.array_equal(k, filled[0]) for k in filled):
        raise CannotNarrow("the concatenation's operands keep different channels")
    return operands, attrs, filled[0]


def _pad(signature: Signature, operands: _Operands, kept: list[Kept], attrs: dict) -> tuple:
    if attrs["pad_before"][-1] or attrs["pad_after"][-1]:
        raise CannotNarrow("channels are padded")
    return operands, attrs, kept[0]


def _slice(signature: Signature, operands: _Operands, kept: list[Kept], attrs: dict) -> tuple:
    if signature.output.channels != signature.inputs[0].channels:
        raise CannotNarrow("channels are split by a slice")
    begin = (*attrs["begin"][:-1], 0)
    end = (*attrs["end"][:-1], len(_chosen(kept)))
    return operands, attrs | {"begin": begin, "end": end}, kept[0]


def _reduce(signature: Signature, operands: _Operands, kept: list[Kept], attrs: dict) -> tuple:
    rank = len(signature.inputs[0].shape)
    if rank - 1 in (axis % rank for axis in attrs["axes"]):
        raise CannotNarrow("the reduction runs over channels")
    return operands, attrs, kept[0]


def _transpose(signature: Signature, operands: _Operands, kept: list[Kept], attrs: dict) -> tuple:
    rank = len(signature.inputs[0].shape)
    if attrs["axes"][-1] % rank != rank - 1:
        raise CannotNarrow("a transposition moves the channels (channel shuffle)")
    return operands, attrs, kept[0]


def _reshape(signature: Signature, operands: _Operands, kept: list[Kept], attrs: dict) -> tuple:
    channels, shape = signature.inputs[0].channels, signature.output.shape
    if not shape or shape[-1] % channels:
        raise CannotNarrow("a reshape splits the channels (channel shuffle)")
    pixels = shape[-1] // channels  # so many pixels lie side by side in the new last axis
    result = (np.arange(pixels)[:, None] * channels + _chosen(kept)).ravel()
    return operands, attrs | {"shape": (*shape[:-1], len(result))}, result


_RULES: dict[str, _Rule] = {
    "conv2d": _conv2d,
    "dense": _dense,
    "pool2d": _same,
    "unary": _same,
    "lookup": _same,
    "quantize": _same,
    "dequantize": _same,
    "resize2d": _same,
    "add": _elementwise,
    "subtract": _elementwise,
    "multiply": _elementwise,
    "divide": _elementwise,
    "maximum": _elementwise,
    "minimum": _elementwise,
    "power": _elementwise,
    "concat": _concat,
    "pad": _pad,
    "slice": _slice,
    "reduce": _reduce,
    "transpose": _transpose,
    "reshape": _reshape,
}


def _take(constant: relax.Expr, indices: np.ndarray, axis: int) -> relax.Expr:
    """The constant with only the given indices along an axis."""
    if not isinstance(constant, GenericConst):
        raise CannotNarrow("weights are computed, so they cannot be sliced")
    values = constant.value.numpy()
    assert prod(values.shape)  # constants of the operator set are never empty
    return relax.const(np.ascontiguousarray(np.take(values, indices, axis)))
