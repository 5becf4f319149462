"""Windows of an image: largest element, average.

- layout: channels-last;
- moves: the largest element of a window is one of its elements;
- selection: with a clamp, `dero.pool2d`;
- integers: averages, also those that TFLite writes between casts to int32;
- element sums: averages of windows, and single pixels;
- channel selection: channel by channel;
- the network's description: a pooling, or one over all pixels; behind a stem, part of it.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod
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
from ...canonicalization.element_sums import ElementSum
from ...canonicalization.epilogue import Epilogue, take_integer_clamp
from ...canonicalization.integer_arithmetic import INTEGERS, IntegerRewriter
from ...canonicalization.integer_operand import integer_clamp, integer_factors, refuse_overflow
from ...canonicalization.layout import Layout
from ...canonicalization.moves import MOVES, always
from ...canonicalization.region_reader import READERS, UNUSUAL, RegionReader, window_sums
from ...canonicalization.select_operators import SELECTION, SelectionRewriter, check_float32
from ...ir.dataflow import Dataflow, dtype_of, is_call, shape_of
from ...ir.operator_graph import Node
from ...reorganization.channel_selection import NARROWING, same_channels
from ...reorganization.description import Convolution, Pool, PoolWindow, Window
from ...reorganization.join_verdicts import averages_all
from ...reorganization.kept_operators import image_operand
from ...reorganization.partial_description import (
    DESCRIPTION,
    DescribedTensor,
    PartialDescription,
    clamp_of,
    global_pool,
)
from ...shortcuts.channel_sums import NotLinear
from .. import quantized as factors
from .. import spec_of
from ..fixed_point import ACTIVATIONS, onnx_rounding
from ..pool2d import windows_meet_image
from ..sum_range import SumRange
from .registry import Refusal

_POOLS = {
    "relax.nn.max_pool2d": relax.op.nn.max_pool2d,
    "relax.nn.avg_pool2d": relax.op.nn.avg_pool2d,
}


@LAYOUT.register(*_POOLS)
def _layout(rewriter: LayoutRewriter, var: relax.Var, call: Any) -> relax.Expr:
    a = call.attrs
    check_plain(a.layout, a.out_layout)
    result = _POOLS[call.op.name](
        _arranged(rewriter, call.args[0], channels_last(a.layout)),
        **_windows(call),
        ceil_mode=a.ceil_mode,
        layout="NHWC",
    )
    return rewriter.keep(var, result, Layout.permuted(shape_of(call), channels_last(a.out_layout)))


def _arranged(rewriter: LayoutRewriter, image: relax.Expr, axes: tuple[int, ...]) -> relax.Expr:
    """The image in an order of its axes; one that was widened to int32 is arranged before.

    A transpose behind the cast would move four times the bytes, and hide the integers that
    TFLite's averages are of.
    """
    widened = rewriter.old.definition(image)
    if is_call(widened, "relax.astype") and dtype_of(widened) == "int32":
        return rewriter.emit(relax.op.astype(rewriter.arrange(widened.args[0], axes), "int32"))
    return rewriter.arrange(image, axes)


def _windows(call: Any) -> dict[str, Any]:
    """Where the windows lie, and what they count."""
    names = ("pool_size", "strides", "padding", "dilation", "count_include_pad")
    return {name: getattr(call.attrs, name) for name in names}


@DEMANDS.register(*_POOLS)
def _demands(call: Any) -> bool:
    return call.attrs.layout == "NCHW"


MOVES.register("relax.nn.max_pool2d")(always)


@SELECTION.register(*_POOLS)
def _select(rewriter: SelectionRewriter, var: relax.Var, call: Any) -> relax.Expr:
    a = call.attrs
    average = is_call(call, "relax.nn.avg_pool2d")
    if (a.layout, a.out_layout) != ("NHWC", "NHWC"):
        raise Refusal(f"its layout is {a.layout}")
    if a.ceil_mode:
        raise Refusal("its windows reach beyond the padding")
    if average:
        check_float32(call)
    window = _windows(call)
    if not windows_meet_image(spec_of(call.args[0].ty), window):
        raise Refusal("some of its windows lie in the padding alone")
    kind = "average" if average else "max"
    return rewriter.clamped(var, "pool2d", [call.args[0]], kind=kind, **window)


@INTEGERS.register("relax.nn.avg_pool2d")
def _integers(rewriter: IntegerRewriter, var: relax.Var, call: Any) -> relax.Expr | None:
    a = call.attrs
    plain = (a.layout, a.out_layout) == ("NHWC", "NHWC") and not a.ceil_mode
    window = {"kind": "average", **_windows(call), "rounding": rewriter.rounding}
    if dtype_of(call) == "int32":
        return _between_casts(rewriter, var, call, window) if plain else None
    source = rewriter.quantized(call.args[0])
    if source is None:
        return None
    if not plain:
        raise Refusal(f"its layout is {a.layout}, or its windows reach beyond the padding")
    if not windows_meet_image(spec_of(call.args[0].ty), window):
        raise Refusal("some of its windows lie in the padding alone")
    epilogue = rewriter.epilogue(var)
    # An average in the input's scale is often a tie, which an integer division sees exactly.
    same_zero_point = source.zero_point == epilogue.zero_point
    divides = source.scale == epilogue.scale and (same_zero_point or rewriter.rounding == "single")
    if not divides:
        multiplier, shift = integer_factors(factors.pooling_factors, source.scale, epilogue.scale)
        count = prod(a.pool_size)
        sums = SumRange.of_elements(count, source.zero_point)
        refuse_overflow(sums, *factors.divide_factor(multiplier, shift, count))
        window["multiplier"], window["shift"] = multiplier, shift
        height, width = a.pool_size
        terms = {(i + 1) * (j + 1) for i in range(height) for j in range(width)}
        divided = np.array([factors.divide_factor(multiplier, shift, n) for n in terms])
        window["rounding"] = onnx_rounding(
            rewriter.rounding, divided[:, 0], divided[:, 1], sums.greatest
        )
    # LiteRT divides sums of the integers as they are; what padding adds has to be real zeros.
    as_they_are = divides and rewriter.rounding == "double" and not a.count_include_pad
    return rewriter.dero(
        "pool2d",
        [source.data],
        epilogue.fused,
        input_zero_point=0 if as_they_are else source.zero_point,
        output_zero_point=0 if as_they_are else epilogue.zero_point,
        **window,
        **integer_clamp(epilogue),
    )


def _between_casts(
    rewriter: IntegerRewriter, var: relax.Var, call: Any, window: dict[str, Any]
) -> relax.Expr | None:
    """``astype(avg_pool2d(astype(q, int32)), T)``, q of type T, as TFLite's pooling is imported."""
    widen = rewriter.old.definition(call.args[0])
    reader = rewriter.old.sole_reader(var)
    if not is_call(widen, "relax.astype") or reader is None:
        return None
    dtype = dtype_of(widen.args[0])
    narrowed, narrow = reader
    if not is_call(narrow, "relax.astype") or dtype_of(narrow) != dtype or dtype not in ACTIVATIONS:
        return None
    epilogue = Epilogue(narrowed, dtype=dtype, fused=[narrowed])
    take_integer_clamp(rewriter.old, epilogue)
    return rewriter.dero(
        "pool2d",
        [rewriter.new(widen.args[0])],
        epilogue.fused,
        minimum=epilogue.minimum,
        maximum=epilogue.maximum,
        **window,
    )


@READERS.register("relax.nn.avg_pool2d", "relax.nn.avg_pool3d")
def _average_elements(reader: RegionReader, call: Any) -> ElementSum:
    a = call.attrs
    padding = [int(p) for p in a.padding]
    plain = a.layout == a.out_layout and a.layout in ("NCHW", "NCDHW") and set(a.dilation) == {1}
    if not plain or a.ceil_mode or (any(padding) and not a.count_include_pad):
        raise NotLinear("averages what lies inside the image")
    return window_sums(reader, call, a.pool_size, 1.0 / prod(int(n) for n in a.pool_size))


@UNUSUAL.register("relax.nn.avg_pool2d")
def _is_unusual_average(_old: Dataflow, call: Any) -> bool:
    """Rows first, then columns."""
    return len(set(call.attrs.pool_size)) == 2 and 1 in call.attrs.pool_size


@READERS.register("relax.nn.max_pool2d")
def _maximum_elements(reader: RegionReader, call: Any) -> ElementSum:
    """Of single pixels: every second, for example."""
    a = call.attrs
    plain = (a.layout, a.out_layout) == ("NCHW", "NCHW") and not a.ceil_mode
    if not plain or set(a.pool_size) != {1} or any(int(p) for p in a.padding):
        raise NotLinear("is pooled by the maximum")
    return window_sums(reader, call, a.pool_size, 1.0)


@UNUSUAL.register("relax.nn.max_pool2d")
def _is_unusual_maximum(_old: Dataflow, call: Any) -> bool:
    return set(call.attrs.pool_size) == {1}


NARROWING.register("dero.pool2d")(same_channels)


@DESCRIPTION.register("dero.pool2d")
def _describe(description: PartialDescription, name: str, data: Node) -> DescribedTensor:
    signature = data.signature
    shape = signature.output.shape[1:]
    window = Window(*(signature[k] for k in ("pool_size", "strides", "padding", "dilation")))
    (tensor,) = description.operands(name, data)
    if window == Window((1, 1)):  # of a single pixel, perhaps
        return description.activated(name, tensor, clamp_of(signature.attrs))
    source = image_operand(description, name, data)
    if averages_all(description.graph, name):
        tensor = description.add(global_pool(description, name, source, shape[-1]))
    else:
        pool = PoolWindow(signature["kind"], window, signature["count_include_pad"])
        conv = description.nodes.get(source)
        if (
            isinstance(conv, Convolution)
            and conv.pool is None
            and conv.final_activation is None
            and not conv.in_gate
            and signature["kind"] == "max"
            and window.strides != (1, 1)
            and conv.inputs[0] not in description.nodes  # but an input of the network
            and description.graph.digraph.out_degree(source) == 1
            and description.alone(source, name)
        ):
            description.nodes[source] = replace(conv, pool=pool, shape=shape)
            tensor = DescribedTensor(source)
        else:
            tensor = description.add(Pool(name, (source,), shape, pool))
    return description.activated(name, tensor, clamp_of(signature.attrs))
