"""Transposed convolutions, by the rules of convolutions where these differ in names alone.

- spelling: along one axis, one with a width of 1;
- layout: image, weights and result channels-last;
- selection: with a bias and a clamp, `dero.conv2d_transpose`;
- integers: int8 weights with a scale for each output channel, or one;
- channel selection: as a convolution.

Does not handle: three-dimensional ones; groups whose weights are computed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm import relax

from ...canonicalization.channels_last import LAYOUT, LayoutRewriter
from ...canonicalization.decompose import SPELLINGS, SpellingRewriter
from ...canonicalization.integer_arithmetic import INTEGERS, IntegerRewriter
from ...canonicalization.select_operators import SELECTION, SelectionRewriter, check_float32
from .convolution import (
    arranged,
    check_arrangeable,
    check_layout,
    geometry,
    on_integers,
    selected,
    with_a_width,
)
from .registry import Refusal

_CALL = "relax.nn.conv2d_transpose"
_OPERATOR = "conv2d_transpose"


@SPELLINGS.register("relax.nn.conv1d_transpose")
def _along_one_axis(rewriter: SpellingRewriter, call: Any) -> relax.Expr | None:
    make, extra = relax.op.nn.conv2d_transpose, (call.attrs.output_padding[0], 0)
    return with_a_width(rewriter, call, "IOW", make, output_padding=extra)


@LAYOUT.register(_CALL)
def _layout(rewriter: LayoutRewriter, var: relax.Var, call: Any) -> relax.Expr:
    check_arrangeable(call)
    # What is channels-last must become an operator of the set: TVM has no kernel for it.
    check_float32(*call.args)
    if int(call.attrs.groups) > 1 and rewriter.old.constant(call.args[1]) is None:
        raise Refusal(f"its weights in {call.attrs.groups} groups are not constant")
    return arranged(rewriter, var, call, relax.op.nn.conv2d_transpose, _geometry(call))


@SELECTION.register(_CALL)
def _select(rewriter: SelectionRewriter, var: relax.Var, call: Any) -> relax.Expr:
    check_layout(call)
    check_float32(*call.args)
    weight = rewriter.new(call.args[1])
    if int(call.attrs.groups) > 1:
        constant = rewriter.old.constant(call.args[1])
        assert constant is not None  # what `_layout` checked
        weight = relax.const(constant.moved(_by_filter(call)).real())
    return selected(rewriter, var, call, _OPERATOR, weight, _geometry(call))


@INTEGERS.register(_CALL)
def _integers(rewriter: IntegerRewriter, var: relax.Var, call: Any) -> relax.Expr | None:
    return on_integers(rewriter, var, call, _OPERATOR, _geometry(call), _by_filter(call))


def _geometry(call: Any) -> dict[str, Any]:
    return {**geometry(call), "output_padding": call.attrs.output_padding}


def _by_filter(call: Any) -> Any:
    """A function from weights [O / groups, H, W, C] to weights [O, H, W, C / groups]."""
    groups = int(call.attrs.groups)

    def move(array: np.ndarray) -> np.ndarray:
        if groups == 1:
            return array
        filters, height, width, channels = array.shape
        split = array.reshape(filters, height, width, groups, channels // groups)
        return np.moveaxis(split, 3, 0).reshape(filters * groups, height, width, -1)

    return move
