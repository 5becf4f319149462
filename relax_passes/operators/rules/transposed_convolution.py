"""Transposed convolutions.

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

from ...canonicalization.channels_last import (
    DEMANDS,
    LAYOUT,
    LayoutRewriter,
    channels_last,
    check_plain,
)
from ...canonicalization.decompose import SPELLINGS, SpellingRewriter, with_width
from ...canonicalization.epilogue import float_epilogue
from ...canonicalization.integer_arithmetic import INTEGERS, IntegerRewriter
from ...canonicalization.integer_layers import are_unsigned, int8_weight, layer_operands
from ...canonicalization.integer_operand import integer_clamp
from ...canonicalization.layout import Layout
from ...canonicalization.select_operators import (
    SELECTION,
    SelectionRewriter,
    bias_vector,
    check_float32,
)
from ...ir.dataflow import shape_of
from .. import quantized as factors
from .registry import Refusal

_CALL = "relax.nn.conv2d_transpose"


@SPELLINGS.register("relax.nn.conv1d_transpose")
def _along_one_axis(rewriter: SpellingRewriter, call: Any) -> relax.Expr | None:
    a = call.attrs
    if (a.data_layout, a.kernel_layout, a.out_layout) != ("NCW", "IOW", "NCW"):
        return None
    data, weight = (with_width(rewriter, rewriter.new(arg)) for arg in call.args)
    before, after = a.padding
    conv = relax.op.nn.conv2d_transpose(
        data,
        weight,
        strides=(a.strides[0], 1),
        padding=(before, 0, after, 0),
        output_padding=(a.output_padding[0], 0),
        dilation=(a.dilation[0], 1),
        groups=a.groups,
    )
    return relax.op.reshape(rewriter.emit(conv), shape_of(call))


@LAYOUT.register(_CALL)
def _layout(rewriter: LayoutRewriter, var: relax.Var, call: Any) -> relax.Expr:
    a = call.attrs
    check_plain(a.data_layout, a.out_layout)
    if sorted(a.kernel_layout) != sorted("OIHW"):
        raise Refusal(f"the layout of its weights is {a.kernel_layout}")
    # What is channels-last must become an operator of the set: TVM has no kernel for it.
    check_float32(*call.args)
    if int(a.groups) > 1 and rewriter.old.constant(call.args[1]) is None:
        raise Refusal(f"its weights in {a.groups} groups are not constant")
    conv = relax.op.nn.conv2d_transpose(
        rewriter.arrange(call.args[0], channels_last(a.data_layout)),
        rewriter.arrange(call.args[1], tuple(a.kernel_layout.index(c) for c in "OHWI")),
        strides=a.strides,
        padding=a.padding,
        output_padding=a.output_padding,
        dilation=a.dilation,
        groups=a.groups,
        data_layout="NHWC",
        kernel_layout="OHWI",
        out_layout="NHWC",
        out_dtype=a.out_dtype or None,
    )
    return rewriter.keep(var, conv, Layout.permuted(shape_of(call), channels_last(a.out_layout)))


@DEMANDS.register(_CALL)
def _demands(call: Any) -> bool:
    return call.attrs.data_layout == "NCHW"


@SELECTION.register(_CALL)
def _select(rewriter: SelectionRewriter, var: relax.Var, call: Any) -> relax.Expr:
    _check_layout(call)
    check_float32(*call.args)
    weight = rewriter.new(call.args[1])
    if int(call.attrs.groups) > 1:
        constant = rewriter.old.constant(call.args[1])
        assert constant is not None  # what `_layout` checked
        weight = relax.const(constant.moved(_by_filter(call)).real())
    epilogue = float_epilogue(rewriter.old, var, bias=True)
    result = rewriter.dero(
        "conv2d_transpose",
        [rewriter.new(call.args[0]), weight, bias_vector(epilogue, shape_of(call)[-1])],
        **_geometry(call),
        **epilogue.clamp,
    )
    return rewriter.finish(result, epilogue.fused)


@INTEGERS.register(_CALL)
def _integers(rewriter: IntegerRewriter, var: relax.Var, call: Any) -> relax.Expr | None:
    """Convolution with one scale of the weights for each or for all output channels."""
    source = rewriter.quantized(call.args[0])
    if source is None:
        rewriter.refuse_quantized(call.args[0])
        return None
    _check_layout(call)
    weight, weight_zero_point = int8_weight(rewriter, call.args[1], _by_filter(call))
    epilogue = rewriter.epilogue(var, bias=True)
    # LiteRT multiplies the scales of a convolution in float32 if its tensors are uint8.
    factors_of = factors.dense_factors if are_unsigned(rewriter) else factors.convolution_factors
    operands, rounding = layer_operands(
        source, weight, weight_zero_point, epilogue, factors_of, rewriter.rounding
    )
    return rewriter.dero(
        "conv2d_transpose",
        operands,
        epilogue.fused,
        **_geometry(call),
        input_zero_point=source.zero_point,
        weight_zero_point=weight_zero_point,
        output_zero_point=epilogue.zero_point,
        rounding=rounding,
        **integer_clamp(epilogue),
    )


def _check_layout(call: Any) -> None:
    a = call.attrs
    if (a.data_layout, a.kernel_layout, a.out_layout) != ("NHWC", "OHWI", "NHWC"):
        raise Refusal(f"its layout is {a.data_layout}, {a.kernel_layout}")


def _geometry(call: Any) -> dict[str, Any]:
    a = call.attrs
    return {
        "strides": a.strides,
        "padding": a.padding,
        "output_padding": a.output_padding,
        "dilation": a.dilation,
        "groups": a.groups,
    }


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
