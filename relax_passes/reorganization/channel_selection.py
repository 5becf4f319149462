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
from ..operators.rules.registry import Rules

Kept = np.ndarray | None
"""Indices of the channels (last axis) that remain, ascending; None if all do."""


NarrowingRule = Callable[
    [Signature, list[relax.Expr], list[Kept], dict[str, Any]],
    tuple[list[relax.Expr], dict[str, Any], Kept],
]
NARROWING: Rules[NarrowingRule] = Rules("channel selection")
"""From a signature, the new operands, what is kept of each, and the attributes: operands and
attributes of the narrower operator, and what is kept of its result.  Raises `CannotNarrow`.
"""


class CannotNarrow(Exception):
    """The operator has no counterpart with fewer channels; the message says why."""


def narrow(call: Call, arguments: Sequence[relax.Expr], kept: Sequence[Kept]) -> tuple[Call, Kept]:
    """`call` for operands that have lost channels.

    `arguments` are the new operands in place of ``call.args``, and `kept` says for each which of
    its old channels are left.  Returns the new call and which of its channels are left.  Raises
    `CannotNarrow`.
    """
    rule = NARROWING.get(call)
    if rule is None:
        raise CannotNarrow(f"{call.op.name} mixes or counts channels")
    signature, attrs = signature_of(call), attributes_of(call)
    operands, attrs, result = rule(signature, list(arguments), list(kept), attrs)
    name = call.op.name.removeprefix("dero.")
    return relax.BlockBuilder().normalize(make_call(name, operands, **attrs)), result


def the_kept(kept: list[Kept]) -> np.ndarray:
    """The channels left of an operator's one data operand: rules run only where some are lost."""
    assert kept[0] is not None
    return kept[0]


def same_channels(
    signature: Signature, operands: list[relax.Expr], kept: list[Kept], attrs: dict[str, Any]
) -> tuple[list[relax.Expr], dict[str, Any], Kept]:
    """The rule of operators that work channel by channel."""
    return operands, attrs, kept[0]


def take(constant: relax.Expr, indices: np.ndarray, axis: int) -> relax.Expr:
    """The constant with only the given indices along an axis."""
    if not isinstance(constant, GenericConst):
        raise CannotNarrow("weights are computed, so they cannot be sliced")
    values = constant.value.numpy()
    assert prod(values.shape)  # constants of the operator set are never empty
    return relax.const(np.ascontiguousarray(np.take(values, indices, axis)))
