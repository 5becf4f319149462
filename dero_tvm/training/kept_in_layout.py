"""Kept operators as PyTorch expressions on tensors that lie as in the module.

Channels are last, and every tensor has one more axis in front, for the batch.  Constants lie as in
the module, without that axis.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

from dero_tvm.boundary.errors import UserError
from relax_passes.reorganization.description import KeptOperator

_BINARY = {
    "add": "{} + {}",
    "subtract": "{} - {}",
    "multiply": "{} * {}",
    "divide": "{} / {}",
    "power": "{} ** {}",
    "maximum": "torch.maximum({}, {})",
    "minimum": "torch.minimum({}, {})",
    "prelu": "{0}.clamp(min=0.0) + {0}.clamp(max=0.0) * {1}",
}
BROADCAST = (*_BINARY, "compare", "select")
"""The operators whose operands may have fewer axes than their result."""

_COMPARISONS = {
    "equal": "==",
    "not_equal": "!=",
    "greater": ">",
    "greater_equal": ">=",
    "less": "<",
    "less_equal": "<=",
    "logical_and": "&",
    "logical_or": "|",
}
_REDUCTIONS = {"mean": "mean", "sum": "sum", "max": "amax", "min": "amin"}
Attributes = Mapping[str, Any]


def numbers(values: Sequence[int]) -> str:
    """A tuple of numbers, as Python writes it."""
    return f"({', '.join(map(str, values))}{',' if len(values) == 1 else ''})"


def _reshaped(operand: str, shape: Sequence[int]) -> str:
    return f"{operand}.flatten(1).unflatten(1, {numbers(shape)})"


def _own_batch(node: KeptOperator, operands: Sequence[str]) -> list[str]:
    """The operands, constants repeated for every element of the batch."""
    computed = _computed(node)
    size = f"{operands[computed[0]]}.shape[0]"
    return [
        operand
        if index in computed
        else f"{operand}.expand({size}, {', '.join(['-1'] * len(_shape(node, index)))})"
        for index, operand in enumerate(operands)
    ]


def _computed(node: KeptOperator) -> list[int]:
    """Which of the operands in order are no constants."""
    places = sorted([*node.places, *(place for place, _ in node.constants)])
    return [places.index(place) for place in sorted(node.places)]


def _shape(node: KeptOperator, index: int) -> tuple[int, ...]:
    """What the operand of this number has in the module."""
    known = dict(zip(node.places, node.input_shapes)) | dict(node.constants)
    return known[sorted(known)[index]]


def elementwise(operator: str, first: str, second: str) -> str | None:
    """An operator of two operands' elements; None if there is no expression for it."""
    return _BINARY[operator].format(first, second) if operator in _BINARY else None


def _binary(node: KeptOperator, _attributes: Attributes, operands: Sequence[str]) -> str:
    return _BINARY[node.operator].format(*operands)


def _compare(_node: KeptOperator, attributes: Attributes, operands: Sequence[str]) -> str:
    first, second = operands
    return f"{first} {_COMPARISONS[attributes['function']]} {second}"


def _select(node: KeptOperator, _attributes: Attributes, operands: Sequence[str]) -> str:
    condition, *values = operands
    if 0 not in node.places:  # constants of a network in PyTorch are numbers
        condition += " != 0"
    return f"torch.where({', '.join([condition, *values])})"


def _reshape(_node: KeptOperator, attributes: Attributes, operands: Sequence[str]) -> str:
    return _reshaped(operands[0], attributes["shape"])


def _transpose(_node: KeptOperator, attributes: Attributes, operands: Sequence[str]) -> str:
    axes = (0, *(axis + 1 for axis in attributes["axes"]))
    return f"{operands[0]}.permute{numbers(axes)}"


def _slice(node: KeptOperator, attributes: Attributes, operands: Sequence[str]) -> str:
    parts = [":"]
    for length, begin, end, step in zip(
        node.input_shapes[0],
        attributes["begin"],
        attributes["end"],
        attributes["strides"] or (1,) * len(attributes["begin"]),
    ):
        stop = "" if end >= length else str(end)
        by = "" if step == 1 else f":{step}"
        parts.append(f"{begin or ''}:{stop}{by}")
    return f"{operands[0]}[{', '.join(parts)}]"


def _concat(node: KeptOperator, attributes: Attributes, operands: Sequence[str]) -> str:
    axis = attributes["axis"] % len(node.literal_shape) + 1
    return f"torch.cat(({', '.join(_own_batch(node, operands))}), dim={axis})"


def _reduce(node: KeptOperator, attributes: Attributes, operands: Sequence[str]) -> str:
    rank = len(node.input_shapes[0])
    axes = tuple(axis % rank + 1 for axis in attributes["axes"])
    keep = "" if not attributes["keepdims"] else ", keepdim=True"
    if attributes["kind"] == "product":  # which PyTorch has along one axis only
        return operands[0] + "".join(f".prod({axis}{keep})" for axis in sorted(axes, reverse=True))
    return f"{operands[0]}.{_REDUCTIONS[attributes['kind']]}({numbers(axes)}{keep})"


def _dense(_node: KeptOperator, _attributes: Attributes, operands: Sequence[str]) -> str:
    return f"functional.linear({', '.join(operands)})"


def _matmul(node: KeptOperator, attributes: Attributes, operands: Sequence[str]) -> str:
    """Matrices of vectors: outer parts and heads in front, then pixels, then elements."""
    heads, outer, transposed = (attributes[key] for key in ("heads", "outer", "transposed"))
    matrices = []
    for index, operand in enumerate(operands):
        shape = _shape(node, index)
        length = shape[-1] if attributes["apart"][index] else shape[-1] // heads
        pixels = prod(shape) // (outer * heads * length)
        if index not in _computed(node):
            operand += "[None]"
        if heads == 1:
            apart = (pixels, length) if outer == 1 else (outer, pixels, length)
            whole = shape if len(shape) == len(apart) else ()
            matrices.append(operand if whole == apart else _reshaped(operand, apart))
        else:
            matrices.append(f"{_reshaped(operand, (outer, pixels, heads, length))}.transpose(2, 3)")
    product = f"({matrices[0]} @ {matrices[1]}{'.mT' if transposed else ''})"
    if heads > 1:
        product += ".transpose(2, 3)"
    return _reshaped(product, node.literal_shape)


def _softmax(_node: KeptOperator, attributes: Attributes, operands: Sequence[str]) -> str:
    return f"{operands[0]}.{'log_' if attributes['logarithm'] else ''}softmax(-1)"


def _top_k(node: KeptOperator, attributes: Attributes, operands: Sequence[str]) -> str:
    if attributes["result"] != "values":
        raise UserError(f"{node.title}: top_k gives places, through which nothing can be trained")
    return f"{operands[0]}.topk({attributes['k']}, -1, {bool(attributes['largest'])}).values"


def _cumulative(_node: KeptOperator, attributes: Attributes, operands: Sequence[str]) -> str:
    total = f"{operands[0]}.cum{'sum' if attributes['kind'] == 'sum' else 'prod'}(-1)"
    if not attributes["exclusive"]:
        return total
    first = 0.0 if attributes["kind"] == "sum" else 1.0
    return f"functional.pad({total}[..., :-1], (1, 0), value={first!r})"


def _local_response_norm(
    _node: KeptOperator, attributes: Attributes, operands: Sequence[str]
) -> str:
    """Sums of squares of windows that go over the borders."""
    before, after = attributes["before"], attributes["after"]
    size = before + after + 1
    squares = f"functional.pad({operands[0]}.square(), ({before}, {after}))"
    totals = f"{squares}.unfold(-1, {size}, 1).sum(-1)"
    scaled = f"({attributes['bias']!r} + {attributes['factor']!r} * {totals})"
    return f"{operands[0]} / {scaled} ** {attributes['exponent']!r}"


def _layer_norm(node: KeptOperator, attributes: Attributes, operands: Sequence[str]) -> str:
    data, weight, bias = operands
    channels, epsilon = node.input_shapes[0][-1], attributes["epsilon"]
    if attributes["centered"]:
        return f"functional.layer_norm({data}, ({channels},), {weight}, {bias}, {epsilon!r})"
    return f"functional.rms_norm({data}, ({channels},), {weight}, {epsilon!r}) + {bias}"


def _moments(node: KeptOperator, attributes: Attributes, operands: Sequence[str]) -> str:
    """Means, then reciprocals of deviations: [batch of the module, 1, 2, groups]."""
    groups = attributes["groups"]
    parts = f"{operands[0]}.flatten(2, -2).unflatten(-1, ({groups}, -1))"
    mean = f"{parts}.mean((2, 4))"
    variance = f"{parts}.var((2, 4), correction=0)"
    return (
        f"torch.stack(({mean}, ({variance} + {attributes['epsilon']!r}).rsqrt()), 2).unsqueeze(2)"
    )


def _normalize(node: KeptOperator, _attributes: Attributes, operands: Sequence[str]) -> str:
    data, moments, weight, bias = operands
    shape, groups = node.input_shapes[0], node.input_shapes[1][-1]
    axes = ".unsqueeze(2)" * (len(shape) - 3)
    mean, reciprocal = (f"{moments}[:, :, :, {kind}]{axes}[..., None]" for kind in (0, 1))
    grouped = f"{data}.unflatten(-1, ({groups}, -1))"
    return f"(({grouped} - {mean}) * {reciprocal}).flatten(-2) * {weight} + {bias}"


def _pad(_node: KeptOperator, attributes: Attributes, operands: Sequence[str]) -> str:
    pairs = zip(reversed(attributes["pad_before"]), reversed(attributes["pad_after"]))
    sides = numbers([side for pair in pairs for side in pair])
    return f"functional.pad({operands[0]}, {sides}, value={float(attributes['value'])!r})"


def _take(_node: KeptOperator, attributes: Attributes, operands: Sequence[str]) -> str:
    before = ", ".join([":"] * (attributes["axis"] + 1))
    return f"{operands[0]}[{before}, {list(attributes['places'])}]"


IN_LAYOUT: dict[str, Callable[[KeptOperator, Attributes, Sequence[str]], str]] = {
    **dict.fromkeys(_BINARY, _binary),
    "compare": _compare,
    "select": _select,
    "reshape": _reshape,
    "transpose": _transpose,
    "slice": _slice,
    "concat": _concat,
    "reduce": _reduce,
    "dense": _dense,
    "matmul": _matmul,
    "softmax": _softmax,
    "top_k": _top_k,
    "cumulative": _cumulative,
    "local_response_norm": _local_response_norm,
    "layer_norm": _layer_norm,
    "moments": _moments,
    "normalize": _normalize,
    "pad": _pad,
    "take": _take,
}
