"""Convolutions.

- spelling: along one axis, one with a width of 1;
- layout: image, weights and result channels-last;
- selection: with a bias and a clamp, `dero.conv2d`;
- integers: int8 weights with a scale for each output channel, or one;
- element sums: windows of single channels, or channels of single pixels, with equal weights;
- channel selection: an ordinary one absorbs the loss, a depthwise one hands it on;
- the network's description: a convolution; of one pixel, a dense layer; scaling each channel, a
  normalization.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
from tvm import relax
from tvm.ir import Call

from ...canonicalization.channels_last import (
    DEMANDS,
    LAYOUT,
    LayoutRewriter,
    channels_last,
    check_plain,
)
from ...canonicalization.decompose import SPELLINGS, SpellingRewriter, with_width
from ...canonicalization.element_sums import ElementSum, total
from ...canonicalization.epilogue import float_epilogue
from ...canonicalization.integer_arithmetic import INTEGERS, IntegerRewriter
from ...canonicalization.integer_layers import are_unsigned, int8_weight, layer_operands
from ...canonicalization.integer_operand import integer_clamp
from ...canonicalization.layout import Layout
from ...canonicalization.region_reader import READERS, UNUSUAL, RegionReader
from ...canonicalization.select_operators import (
    SELECTION,
    SelectionRewriter,
    bias_vector,
    check_float32,
)
from ...ir.dataflow import Dataflow, shape_of
from ...ir.operator_graph import Node
from ...reorganization.cannot_reorganize import one_axis
from ...reorganization.channel_selection import NARROWING, CannotNarrow, Kept, take, the_kept
from ...reorganization.description import Convolution, Window
from ...reorganization.kept_operators import image_operand, normalization
from ...reorganization.partial_description import (
    DESCRIPTION,
    DescribedTensor,
    PartialDescription,
    add_dense,
    clamp_of,
)
from ...shortcuts.channel_sums import NotLinear
from .. import Signature
from .. import quantized as factors
from ..fixed_point import ACTIVATIONS
from .registry import Refusal


@SPELLINGS.register("relax.nn.conv1d")
def _along_one_axis(rewriter: SpellingRewriter, call: Any) -> relax.Expr | None:
    return with_a_width(rewriter, call, "OIW", relax.op.nn.conv2d)


def with_a_width(
    rewriter: SpellingRewriter, call: Any, weights: str, make: Callable[..., Call], **attrs: Any
) -> relax.Expr | None:
    """A convolution along one axis, or its transpose, as one of two that `make` makes.

    None unless its weights have the layout `weights`, and data and result are NCW.
    """
    a = call.attrs
    if (a.data_layout, a.kernel_layout, a.out_layout) != ("NCW", weights, "NCW"):
        return None
    data, weight = (with_width(rewriter, rewriter.new(arg)) for arg in call.args)
    before, after = a.padding
    conv = make(
        data,
        weight,
        strides=(a.strides[0], 1),
        padding=(before, 0, after, 0),
        dilation=(a.dilation[0], 1),
        groups=a.groups,
        **attrs,
    )
    return relax.op.reshape(rewriter.emit(conv), shape_of(call))


@LAYOUT.register("relax.nn.conv2d")
def _layout(rewriter: LayoutRewriter, var: relax.Var, call: Any) -> relax.Expr:
    check_arrangeable(call)
    return arranged(rewriter, var, call, relax.op.nn.conv2d, geometry(call))


def check_arrangeable(call: Any) -> None:
    """Raises `Refusal` unless axes can be put channels-last."""
    check_plain(call.attrs.data_layout, call.attrs.out_layout)
    if sorted(call.attrs.kernel_layout) != sorted("OIHW"):
        raise Refusal(f"the layout of its weights is {call.attrs.kernel_layout}")


def arranged(
    rewriter: LayoutRewriter,
    var: relax.Var,
    call: Any,
    make: Callable[..., Call],
    attrs: dict[str, Any],
) -> relax.Expr:
    """A convolution or its transpose on channels-last operands."""
    a = call.attrs
    conv = make(
        rewriter.arrange(call.args[0], channels_last(a.data_layout)),
        rewriter.arrange(call.args[1], tuple(a.kernel_layout.index(c) for c in "OHWI")),
        **attrs,
        data_layout="NHWC",
        kernel_layout="OHWI",
        out_layout="NHWC",
        out_dtype=a.out_dtype or None,
    )
    return rewriter.keep(var, conv, Layout.permuted(shape_of(call), channels_last(a.out_layout)))


@DEMANDS.register("relax.nn.conv2d", "relax.nn.conv2d_transpose")
def _demands(call: Any) -> bool:
    return call.attrs.data_layout == "NCHW"


@SELECTION.register("relax.nn.conv2d")
def _select(rewriter: SelectionRewriter, var: relax.Var, call: Any) -> relax.Expr:
    check_layout(call)
    check_float32(*call.args)
    return selected(rewriter, var, call, "conv2d", rewriter.new(call.args[1]), geometry(call))


def selected(
    rewriter: SelectionRewriter,
    var: relax.Var,
    call: Any,
    operator: str,
    weight: relax.Expr,
    attrs: dict[str, Any],
) -> relax.Expr:
    """A convolution or its transpose with the bias and the clamp behind it."""
    epilogue = float_epilogue(rewriter.old, var, bias=True)
    operands = [rewriter.new(call.args[0]), weight, bias_vector(epilogue, shape_of(call)[-1])]
    result = rewriter.dero(operator, operands, **attrs, **epilogue.clamp)
    return rewriter.finish(result, epilogue.fused)


@INTEGERS.register("relax.nn.conv2d")
def _integers(rewriter: IntegerRewriter, var: relax.Var, call: Any) -> relax.Expr | None:
    return on_integers(rewriter, var, call, "conv2d", geometry(call))


def on_integers(
    rewriter: IntegerRewriter,
    var: relax.Var,
    call: Any,
    operator: str,
    attrs: dict[str, Any],
    by_filter: Callable[[np.ndarray], np.ndarray] = np.asarray,
) -> relax.Expr | None:
    """A convolution or its transpose with one scale of the weights a filter, or for all.

    `by_filter` moves the elements of the weights to [O, H, W, I / groups] where they lie otherwise.
    """
    source = rewriter.quantized(call.args[0], ACTIVATIONS)
    if source is None:
        return None
    check_layout(call)
    weight, weight_zero_point = int8_weight(rewriter, call.args[1], by_filter)
    epilogue = rewriter.epilogue(var, bias=True, dtype=source.dtype)
    # LiteRT multiplies the scales of a convolution in float32 if its tensors are uint8.
    factors_of = factors.dense_factors if are_unsigned(rewriter) else factors.convolution_factors
    operands, rounding = layer_operands(
        source, weight, weight_zero_point, epilogue, factors_of, rewriter.rounding
    )
    return rewriter.dero(
        operator,
        operands,
        epilogue.fused,
        **attrs,
        input_zero_point=source.zero_point,
        weight_zero_point=weight_zero_point,
        output_zero_point=epilogue.zero_point,
        rounding=rounding,
        **integer_clamp(epilogue),
    )


def check_layout(call: Any) -> None:
    """Raises `Refusal` unless image, weights and result are channels-last."""
    a = call.attrs
    if (a.data_layout, a.kernel_layout, a.out_layout) != ("NHWC", "OHWI", "NHWC"):
        raise Refusal(f"its layout is {a.data_layout}, {a.kernel_layout}")


def geometry(call: Any) -> dict[str, Any]:
    """Where the windows lie."""
    return {
        name: getattr(call.attrs, name) for name in ("strides", "padding", "dilation", "groups")
    }


@READERS.register("relax.nn.conv2d", "relax.nn.conv3d")
def _elements(reader: RegionReader, call: Any) -> ElementSum:
    """A convolution that adds up pixels and channels, each of them for one filter."""
    weight = _fixed_weight(reader.old, call)
    if weight is None:
        raise NotLinear("comes from a convolution")
    a = call.attrs
    filters, depth, *size = weight.shape
    summands = int((weight != 0.0).reshape(filters, -1).sum(1).max())
    value = reader.value(call.args[0])
    reader.limit(value.cost * summands, len(value.terms) * summands)
    strides, padding, dilation = (
        [int(n) for n in numbers] for numbers in (a.strides, a.padding, a.dilation)
    )
    windows = np.moveaxis(weight, (0, 1), (-1, -2))
    by_channel = depth == 1 and a.groups == filters
    parts = []
    for place, pixels in value.places(size, strides, padding, dilation):
        matrix = windows[place].T
        if not matrix.any():
            continue
        if by_channel:
            factor = matrix.reshape(-1, *[1] * len(size))
            parts.append(pixels.only(factor != 0.0).scaled(_as_one(factor)))
        else:
            parts.append(pixels.mixed(_of_all_groups(matrix, a.groups), 1))
    return total(parts)


@UNUSUAL.register("relax.nn.conv2d", "relax.nn.conv3d")
def _is_unusual(old: Dataflow, call: Any) -> bool:
    return not _scales_channels(call) and _fixed_weight(old, call) is not None


def _scales_channels(call: Any) -> bool:
    """One factor a channel: a normalization."""
    filters, depth, *size = shape_of(call.args[1])
    steps = {*size, *(int(stride) for stride in call.attrs.strides)}
    return depth == 1 and call.attrs.groups == filters and steps == {1}


def _fixed_weight(old: Any, call: Any) -> np.ndarray | None:
    """The weights [O, I, ...] of a convolution that adds up elements; None if it does not.

    Every channel of the data goes to one channel of the result at most, whose weights are one
    number, or 0.
    """
    a = call.attrs
    if (a.data_layout, a.kernel_layout) not in (("NCHW", "OIHW"), ("NCDHW", "OIDHW")):
        return None
    constant = old.constant(call.args[1])
    if a.out_layout != a.data_layout or constant is None:
        return None
    weight = constant.real()
    filters, depth, *_ = weight.shape
    used = weight != 0.0
    # What takes no look at every single weight comes first: most convolutions were trained.
    if np.count_nonzero(used) > depth * a.groups * prod(weight.shape[2:]) or not used.any():
        return None
    reading = used.reshape(a.groups, filters // a.groups, depth, -1).any(3)
    if (reading.sum(1) > 1).any():
        return None
    weight, used = (array.reshape(filters, -1) for array in (weight.astype(np.float64), used))
    greatest = weight.max(1, where=used, initial=-np.inf)
    least = weight.min(1, where=used, initial=np.inf)
    if (used.any(1) & (greatest != least)).any():
        return None
    return weight.reshape(constant.shape)


def _as_one(factors: np.ndarray) -> np.ndarray:
    """Equal factors as a single number."""
    used = factors[factors != 0.0]
    return used[0] if (used == used[0]).all() else factors


def _of_all_groups(matrix: np.ndarray, groups: int) -> np.ndarray:
    """One place's weights [O, I / groups] as [O, I]."""
    filters, depth = matrix.shape
    each = filters // groups
    whole = np.zeros((groups, each, groups, depth))
    for group in range(groups):
        whole[group, :, group] = matrix[group * each : (group + 1) * each]
    return whole.reshape(filters, groups * depth)


@NARROWING.register("dero.conv2d", "dero.conv2d_transpose")
def _narrow(
    signature: Signature, operands: list[relax.Expr], kept: list[Kept], attrs: dict[str, Any]
) -> tuple:
    data, weight, *vectors = operands
    channels = signature.inputs[0].channels
    if attrs["groups"] == 1:
        return [data, take(weight, the_kept(kept), 3), *vectors], attrs, None
    if attrs["groups"] != channels:
        raise CannotNarrow(f"a convolution in {attrs['groups']} groups cannot lose single channels")
    each = signature.inputs[1].shape[0] // channels
    chosen = the_kept(kept)
    filters = (chosen[:, None] * each + np.arange(each)).ravel()
    attrs = attrs | {"groups": len(chosen)}
    return [data, *(take(constant, filters, 0) for constant in (weight, *vectors))], attrs, filters


@DESCRIPTION.register("dero.conv2d")
def _describe(description: PartialDescription, name: str, data: Node) -> DescribedTensor:
    signature, activation = data.signature, clamp_of(data.signature.attrs)
    weight, bias = (description.constant(name, data, index) for index in (1, 2))
    (tensor,) = description.operands(name, data)
    shape = description.shape(tensor.source)
    channels, filters = signature.inputs[0].channels, weight.shape[0]
    groups = signature["groups"]
    window = Window(weight.shape[1:3], *(signature[k] for k in ("strides", "padding", "dilation")))
    if len(shape) == 1 and signature.inputs[0].shape[1:3] != (1, 1):
        raise one_axis(name, data)
    scaling = window == Window((1, 1)) and groups == channels == filters > 1
    if scaling and name not in description.verdicts.gates:
        return normalization(description, name, tensor, activation)
    if len(shape) == 1:
        return add_dense(
            description, name, data, tensor.source, _of_one_pixel(weight, window, groups), bias
        )
    source = image_operand(description, name, data)
    description.keep(name, weight, bias)
    shape = signature.output.shape[1:]
    made = Convolution(
        name, (source,), shape, channels, filters, window, groups, activation=activation
    )
    return description.add(replace(made, in_gate=name in description.verdicts.gates))


def _of_one_pixel(weight: np.ndarray, window: Window, groups: int) -> np.ndarray | None:
    """A convolution on an image of one pixel as a dense layer's weights; None if it gives more."""
    top, left, bottom, right = window.padding
    rows, columns = (d * (k - 1) + 1 for d, k in zip(window.dilation, window.kernel))
    # The pixel must lie under one weight, and the window fit only once.
    results = (1 + top + bottom - rows) // window.strides[0], (1 + left + right - columns)
    if results[0] or results[1] // window.strides[1]:
        return None
    places = (top / window.dilation[0], left / window.dilation[1])
    if any(place != int(place) for place in places):
        return None
    filters, channels = len(weight) // groups, weight.shape[-1]
    whole = np.zeros((groups, filters, groups, channels), weight.dtype)
    for group, part in enumerate(np.split(weight[:, int(places[0]), int(places[1]), :], groups)):
        whole[group, :, group] = part
    return whole.reshape(groups * filters, groups * channels)
