"""Images in another size.

- spelling: four rows mixed by corners to a height of 1, the first row;
- layout: channels-last;
- moves: the nearest neighbour is an element;
- selection: nearest neighbours, where TVM's rounding has a counterpart, are `dero.resize2d`, and
  mixed pixels `dero.resize_bilinear`;
- integers: mixed pixels, whose weights are exact;
- element sums: of images that become smaller by integers;
- channel selection: channel by channel;
- the network's description: an upsampling by integers.

Does not handle: bicubic resizing, which mixes four rows.
"""

from __future__ import annotations

from fractions import Fraction
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
from ...canonicalization.decompose import SPELLINGS, SpellingRewriter
from ...canonicalization.element_sums import ElementSum
from ...canonicalization.integer_arithmetic import INTEGERS, IntegerRewriter
from ...canonicalization.integer_operand import integer_clamp, integer_factors, refuse_overflow
from ...canonicalization.layout import Layout
from ...canonicalization.moves import MOVES
from ...canonicalization.region_reader import READERS, UNUSUAL, RegionReader
from ...canonicalization.select_operators import SELECTION, SelectionRewriter, check_float32
from ...ir.dataflow import Dataflow, dtype_of, is_call, shape_of
from ...ir.operator_graph import Node
from ...reorganization.cannot_reorganize import no_counterpart
from ...reorganization.channel_selection import NARROWING, same_channels
from ...reorganization.description import Upsample
from ...reorganization.kept_operators import image_operand
from ...reorganization.partial_description import DESCRIPTION, DescribedTensor, PartialDescription
from ...shortcuts.channel_sums import NotLinear
from .. import attributes_of
from .. import quantized as factors
from ..bilinear_axis import Axis
from ..fixed_point import onnx_rounding
from ..resize2d import ARITHMETICS, ONNX_ROUNDINGS, nearest_table
from ..resize_bilinear import COORDINATES, LARGEST_ONE, axes
from ..resize_unsigned import needs_floats
from ..sum_range import SumRange
from .registry import Refusal

_ROUNDING = {
    **ONNX_ROUNDINGS,
    "round": "round_half_down",  # to even in TVM; taken only where no position is a tie
}


@SPELLINGS.register("relax.image.resize2d")
def _to_one_row(rewriter: SpellingRewriter, call: Any) -> relax.Expr | None:
    """Bicubic resizing with the corners aligned, and one row or column in the result.

    That is the first one of the image, but TVM divides by the number of steps to the last.
    """
    a = call.attrs
    if a.coordinate_transformation_mode != "align_corners" or a.method != "cubic":
        return None
    axes = [a.layout.index(letter) for letter in "HW"]
    single = [axis for axis in axes if shape_of(call)[axis] == 1]
    if not single or dtype_of(call) != dtype_of(call.args[0]):
        return None
    data = _first(rewriter, rewriter.new(call.args[0]), single)
    if single == axes:
        return data
    (axis,) = single
    pair = rewriter.emit(relax.op.concat([data, data], axis))
    sizes = [2 if other == axis else shape_of(call)[other] for other in axes]
    resized = relax.op.image.resize2d(
        pair,
        tuple(sizes),
        layout=a.layout,
        method=a.method,
        coordinate_transformation_mode=a.coordinate_transformation_mode,
        rounding_method=a.rounding_method,
        cubic_alpha=a.cubic_alpha,
        cubic_exclude=a.cubic_exclude,
    )
    return _first(rewriter, rewriter.emit(resized), single)


def _first(rewriter: SpellingRewriter, expr: relax.Expr, axes: list[int]) -> relax.Expr:
    """What lies at the beginning of some axes."""
    ends = [1] * len(axes)
    return rewriter.emit(relax.op.strided_slice(expr, axes, [0] * len(axes), ends))


@LAYOUT.register("relax.image.resize2d")
def _layout(rewriter: LayoutRewriter, var: relax.Var, call: Any) -> relax.Expr:
    a = call.attrs
    check_plain(a.layout)
    order = channels_last(a.layout)
    result = relax.op.image.resize2d(
        rewriter.arrange(call.args[0], order),
        call.args[1],
        roi=tuple(float(getattr(r, "value", r)) for r in a.roi),
        layout="NHWC",
        method=a.method,
        coordinate_transformation_mode=a.coordinate_transformation_mode,
        rounding_method=a.rounding_method,
        cubic_alpha=a.cubic_alpha,
        cubic_exclude=a.cubic_exclude,
        extrapolation_value=a.extrapolation_value,
        out_dtype=a.out_dtype or None,
    )
    return rewriter.keep(var, result, Layout.permuted(shape_of(call), order))


@DEMANDS.register("relax.image.resize2d")
def _demands(call: Any) -> bool:
    return call.attrs.layout == "NCHW"


@MOVES.register("relax.image.resize2d")
def _is_move(call: Any) -> bool:
    return call.attrs.method == "nearest_neighbor"


@SELECTION.register("relax.image.resize2d")
def _select(rewriter: SelectionRewriter, var: relax.Var, call: Any) -> relax.Expr:
    a = call.attrs
    coordinates = str(a.coordinate_transformation_mode)
    if a.layout != "NHWC":
        raise Refusal(f"its layout is {a.layout}")
    if a.method == "linear":
        check_float32(call.args[0])
        return rewriter.clamped(var, "resize_bilinear", [call.args[0]], **_bilinear(call))
    if a.method != "nearest_neighbor":
        raise Refusal(f"its method is {a.method}: kernels copy the nearest pixel or mix two by two")
    if coordinates not in ("asymmetric", "half_pixel", "align_corners"):
        raise Refusal(f"its coordinates are {coordinates}")
    rounding = str(a.rounding_method) or ("round" if coordinates == "align_corners" else "floor")
    if rounding not in _ROUNDING:
        raise Refusal(f"its rounding is {rounding}")
    if rounding == "round" and _has_ties(shape_of(call.args[0]), shape_of(call), coordinates):
        raise Refusal("a position midway between two pixels is rounded to the even one")
    return rewriter.dero(
        "resize2d",
        [rewriter.new(call.args[0])],
        size=shape_of(call)[1:3],
        coordinates=coordinates,
        rounding=_ROUNDING[rounding],
        arithmetic="multiply" if rewriter.rounding == "double" else "divide",
    )


@INTEGERS.register("relax.image.resize2d", "dero.resize_bilinear")
def _integers(rewriter: IntegerRewriter, var: relax.Var, call: Any) -> relax.Expr | None:
    """Sums of pixels times integer weights, one rounding for all."""
    source = rewriter.quantized(call.args[0])
    if source is None:
        return None
    attrs = _bilinear(call)
    epilogue = rewriter.epilogue(var)
    _, height, width, _ = shape_of(call.args[0])
    rows, columns = axes((height, width), attrs)
    total = rows.one * columns.one
    if rewriter.rounding == "double" and source.scale == epilogue.scale:  # uint8 of LiteRT
        if attrs["scale"] is None and needs_floats(rows, columns, attrs["size"]):
            return rewriter.dero(
                "resize_bilinear",
                [source.data],
                epilogue.fused,
                arithmetic="litert_unsigned",
                **attrs,
                **integer_clamp(epilogue),
            )
    if total > LARGEST_ONE:
        raise Refusal(f"{total} parts of a pixel do not fit 32-bit sums")
    if source.scale != epilogue.scale:
        assert epilogue.scale is not None
        factor = source.scale / epilogue.scale / total
        multiplier, shift = integer_factors(factors.requantization, factor)
        sums = SumRange.of_elements(total, source.zero_point)
        refuse_overflow(sums, multiplier, shift)
        rounding = onnx_rounding(rewriter.rounding, multiplier, shift, sums.greatest)
        attrs |= {"multiplier": multiplier, "shift": shift, "rounding": rounding}
    return rewriter.dero(
        "resize_bilinear",
        [source.data],
        epilogue.fused,
        arithmetic="exact",
        input_zero_point=source.zero_point,
        output_zero_point=epilogue.zero_point,
        **{"rounding": rewriter.rounding, **attrs},
        **integer_clamp(epilogue),
    )


def _bilinear(call: Any) -> dict[str, Any]:
    """Attributes of `dero.resize_bilinear`; raises `Refusal` for other ways of resizing."""
    if is_call(call, "dero.resize_bilinear"):
        attrs = attributes_of(call)
        return {name: attrs[name] for name in ("size", "coordinates", "scale")}
    a = call.attrs
    coordinates = str(a.coordinate_transformation_mode)
    if a.layout != "NHWC" or a.method != "linear":
        raise Refusal(f"its layout is {a.layout}, its method {a.method}")
    if coordinates not in COORDINATES:
        raise Refusal(f"its coordinates are {coordinates}")
    return {"size": shape_of(call)[1:3], "coordinates": coordinates, "scale": None}


def _has_ties(shape: tuple[int, ...], out: tuple[int, ...], coordinates: str) -> bool:
    """True if a position of nearest-neighbour resizing lies midway between two pixels."""
    for axis in (1, 2):
        scale = Fraction(shape[axis], out[axis])
        if coordinates == "align_corners":
            scale = Fraction(shape[axis] - 1, max(out[axis] - 1, 1))
        shift = Fraction(1, 2) if coordinates == "half_pixel" else Fraction(0)
        if any(((i + shift) * scale - shift) % 1 == Fraction(1, 2) for i in range(out[axis])):
            return True
    return False


@READERS.register("relax.image.resize2d")
def _elements(reader: RegionReader, call: Any) -> ElementSum:
    """Single pixels, or mixed ones, of an image that becomes smaller."""
    a = call.attrs
    old, new = shape_of(call.args[0])[2:], shape_of(call)[2:]
    if a.layout != "NCHW" or any(length % out for length, out in zip(old, new)):
        raise NotLinear("is resized")
    value = reader.value(call.args[0])
    for axis, (length, out) in enumerate(zip(old, new), start=2):
        matrix = _mixing(str(a.method), str(a.coordinate_transformation_mode), a, length, out)
        reader.limit(value.cost * 2, len(value.terms) * 2)
        value = value.mixed(matrix, axis)
    return value


def _mixing(method: str, coordinates: str, attrs: Any, length: int, out: int) -> np.ndarray:
    """The weight of each pixel (column) along an axis in each of the result (row)."""
    matrix = np.zeros((out, length))
    places = np.arange(out)
    if method == "nearest_neighbor":
        rounding = _ROUNDING.get(str(attrs.rounding_method) or "floor")
        if coordinates not in ("asymmetric", "half_pixel") or rounding is None:
            raise NotLinear("is resized")
        by_both = [
            nearest_table(length, out, None, coordinates, rounding, arithmetic)
            for arithmetic in ARITHMETICS
        ]
        if by_both[0] != by_both[1]:
            raise NotLinear("is resized with a rounding of its own")
        matrix[places, by_both[0]] = 1.0
    elif method == "linear" and coordinates in COORDINATES:
        axis = Axis.of(length, out, coordinates, None)
        for place in range(out):
            position = axis.place(place)
            before, after = axis.neighbours(position)
            share = (position - axis.one * before) / axis.one
            matrix[place, before] += 1.0 - share
            matrix[place, after] += share
    else:
        raise NotLinear("is resized")
    return matrix


@UNUSUAL.register("relax.image.resize2d")
def _is_unusual(_old: Dataflow, call: Any) -> bool:
    """Others make images larger, or change them in ways that are no sums of windows."""
    a, old, new = call.attrs, shape_of(call.args[0]), shape_of(call)
    return a.layout == "NCHW" and all(b < o and o % b == 0 for o, b in zip(old[2:], new[2:]))


NARROWING.register("dero.resize2d", "dero.resize_bilinear")(same_channels)


@DESCRIPTION.register("dero.resize2d")
def _describe(description: PartialDescription, name: str, data: Node) -> DescribedTensor:
    source = image_operand(description, name, data)
    old, shape = (s.shape[1:] for s in (data.signature.inputs[0], data.signature.output))
    factor = (shape[0] // old[0], shape[1] // old[1])
    if (old[0] * factor[0], old[1] * factor[1]) != shape[:2] or data.signature[
        "coordinates"
    ] == "align_corners":
        raise no_counterpart(name, data, " by a factor that is no integer")
    return description.add(Upsample(name, (source,), shape, factor))
