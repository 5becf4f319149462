"""Operators that only move values, where TVM's TFLite importer lacks them or gets them wrong.

They act on quantized values as they are; the converter requantizes afterwards where input and
output differ in quantization.
"""

from __future__ import annotations

import functools
from math import prod

import numpy as np
import tflite
from tvm import ir, relax

from .constant_shapes import options_of, strided_slice_index
from .converter import DATA_INPUT, Converter, rule, scale_of

# SPLIT has its axis first and its data second.


@rule("EXPAND_DIMS")
def _expand_dims(converter: Converter, op: tflite.Operator) -> ir.Expr:
    data, axis = converter.get_input_tensors(op)
    return relax.op.expand_dims(
        converter.get_tensor_expr(data), int(converter.get_tensor_value(axis).item())
    )


@rule("GATHER")
def _gather(converter: Converter, op: tflite.Operator) -> ir.Expr:
    options = options_of(op, tflite.GatherOptions)
    if options.BatchDims():
        raise ValueError("GATHER with batch dimensions is not supported")
    data, indices = converter.get_input_tensors(op)
    return relax.op.take(
        converter.get_tensor_expr(data),
        converter.get_tensor_expr(indices),
        axis=options.Axis(),
        mode="clip",  # TVM warns about the default, which reads outside the data if told to
    )


@rule("EMBEDDING_LOOKUP")
def _embedding_lookup(converter: Converter, op: tflite.Operator) -> ir.Expr:
    indices, table = converter.get_input_tensors(op)
    rows = relax.op.take(
        converter.get_tensor_expr(table),
        converter.get_tensor_expr(indices),
        axis=0,
        mode="clip",
    )
    # A table of integers may give numbers in floating point.
    expanded = table.qnn_params and not converter.get_output_tensors(op)[0].qnn_params
    return converter.dequantize(rows, table) if expanded else rows


@rule("MIRROR_PAD")
def _mirror_pad(converter: Converter, op: tflite.Operator) -> ir.Expr:
    if options_of(op, tflite.MirrorPadOptions).Mode() == tflite.MirrorPadMode.REFLECT:
        return converter.convert_mirror_pad(op)
    # Of a symmetric one the edge itself stands twice, which Relax's padding does not know.
    data, amounts = converter.get_input_tensors(op)
    expr = converter.get_tensor_expr(data)
    sizes = converter.static_shape(expr)
    for axis, (before, after) in enumerate(converter.get_tensor_value(amounts).tolist()):
        size = sizes[axis]
        if not 0 <= min(before, after) <= max(before, after) <= size:
            raise ValueError(f"it mirrors {before} and {after} of axis {axis}, which has {size}")
        if before or after:
            places = np.pad(np.arange(size), (before, after), mode="symmetric")
            expr = relax.op.take(expr, relax.const(places, "int64"), axis=axis, mode="clip")
    return expr


@rule("GATHER_ND")
def _gather_nd(converter: Converter, op: tflite.Operator) -> ir.Expr:
    data, indices = (
        converter.get_tensor_expr(tensor) for tensor in converter.get_input_tensors(op)
    )
    return relax.op.gather_nd(data, relax.op.astype(indices, "int64"))


@rule("PAD", "PADV2")
def _pad(converter: Converter, op: tflite.Operator) -> ir.Expr:
    data, amounts, *values = converter.get_input_tensors(op)
    value: float = 0
    if values:
        value = converter.get_tensor_value(values[0]).item()
        if values[0].qnn_params:
            scale, zero_point = scale_of(values[0])
            value = (value - zero_point) * scale
    if data.qnn_params:
        scale, zero_point = scale_of(data)
        value = round(value / scale) + zero_point
    pad_width = [int(amount) for amount in converter.get_tensor_value(amounts).flat]
    return relax.op.nn.pad(
        converter.get_tensor_expr(data), pad_width=pad_width, pad_value=float(value)
    )


@rule("RESIZE_NEAREST_NEIGHBOR")
def _resize_nearest(converter: Converter, op: tflite.Operator) -> ir.Expr:
    options = options_of(op, tflite.ResizeNearestNeighborOptions)
    data, size = converter.get_input_tensors(op)
    # LiteRT rounds down the asymmetric position, and halves up the other two.
    coordinates, rounding = "asymmetric", "floor"
    if options.AlignCorners():
        coordinates, rounding = "align_corners", "round_prefer_ceil"
    elif options.HalfPixelCenters():
        coordinates, rounding = "half_pixel", "round_prefer_ceil"
    return relax.op.image.resize2d(
        converter.get_tensor_expr(data),
        tuple(int(n) for n in converter.get_tensor_value(size)),
        layout="NHWC",
        method="nearest_neighbor",
        coordinate_transformation_mode=coordinates,
        rounding_method=rounding,
    )


def _split(code: str, converter: Converter, op: tflite.Operator) -> ir.Expr:
    if op.OutputsLength() == 1:
        return converter.get_expr(op.Inputs(DATA_INPUT.get(code, 0)))
    return converter.convert_split(op) if code == "SPLIT" else converter.convert_split_v(op)


@rule("SQUEEZE")
def _squeeze(converter: Converter, op: tflite.Operator) -> ir.Expr:
    options = options_of(op, tflite.SqueezeOptions)
    axes = [int(options.SqueezeDims(i)) for i in range(options.SqueezeDimsLength())]
    return relax.op.squeeze(converter.get_expr(op.Inputs(0)), axis=axes or None)


@rule("STRIDED_SLICE")
def _strided_slice(converter: Converter, op: tflite.Operator) -> ir.Expr:
    data, *bounds = converter.get_input_tensors(op)
    expr = converter.bb.normalize(converter.get_tensor_expr(data))
    shape = converter.static_shape(expr)
    index = strided_slice_index(op, *(converter.get_tensor_value(bound) for bound in bounds))
    if Ellipsis not in index:
        index += (Ellipsis,)
    consumed = sum(1 for entry in index if entry is not None and entry is not Ellipsis)

    # Python resolves each entry against its axis; Relax then slices every axis plainly, and a
    # reshape drops and inserts the axes of one element.  A range without elements may stop on the
    # wrong side of its start, which Relax would count as less than none.
    spans: list[range] = []
    final: list[int] = []
    for entry in index:
        if entry is None:
            final.append(1)
        elif entry is Ellipsis:
            for extent in shape[len(spans) : len(spans) + len(shape) - consumed]:
                spans.append(range(extent))
                final.append(extent)
        elif isinstance(entry, slice):
            spans.append(range(shape[len(spans)])[entry])
            final.append(len(spans[-1]))
        else:
            position = range(shape[len(spans)])[entry]
            spans.append(range(position, position + 1))
    out = relax.op.strided_slice(
        expr,
        axes=list(range(len(shape))),
        begin=[span.start for span in spans],
        # A stop before the first element cannot be written as an index from the front.
        end=[
            span.start if not span else span.stop if span.stop >= 0 else span.stop - extent
            for span, extent in zip(spans, shape, strict=True)
        ],
        strides=[span.step for span in spans],
    )
    out = converter.bb.normalize(out)
    return out if converter.static_shape(out) == final else relax.op.reshape(out, final)


@rule("SPACE_TO_BATCH_ND")
def _space_to_batch(converter: Converter, op: tflite.Operator) -> ir.Expr:
    """Pads, splits each spatial axis into blocks, and moves the place in the block to the batch."""
    data, block_tensor, padding_tensor = converter.get_input_tensors(op)
    blocks = [int(n) for n in converter.get_tensor_value(block_tensor)]
    padding = converter.get_tensor_value(padding_tensor).tolist()
    value = scale_of(data)[1] if data.qnn_params else 0
    rank = len(converter.get_tensor_shape(data))
    widths = [[0, 0], *padding] + [[0, 0]] * (rank - 1 - len(blocks))
    expr = relax.op.nn.pad(
        converter.get_tensor_expr(data), [n for pair in widths for n in pair], pad_value=value
    )
    batch, *extents = converter.static_shape(expr)
    count = len(blocks)
    split = [batch]
    for extent, block in zip(extents, blocks, strict=False):
        split += [extent // block, block]
    inner, outer = list(range(2, 2 * count + 1, 2)), list(range(1, 2 * count + 1, 2))
    rest = list(range(2 * count + 1, 2 * count + 1 + rank - 1 - count))
    expr = relax.op.reshape(expr, split + extents[count:])
    expr = relax.op.permute_dims(expr, [*inner, 0, *outer, *rest])
    shape = [extent // block for extent, block in zip(extents, blocks, strict=False)]
    return relax.op.reshape(expr, [batch * prod(blocks), *shape, *extents[count:]])


@rule("BATCH_TO_SPACE_ND")
def _batch_to_space(converter: Converter, op: tflite.Operator) -> ir.Expr:
    """The inverse of :func:`_space_to_batch`, with cropping in place of padding."""
    data, block_tensor, crop_tensor = converter.get_input_tensors(op)
    blocks = [int(n) for n in converter.get_tensor_value(block_tensor)]
    crops = converter.get_tensor_value(crop_tensor).tolist()
    expr = converter.get_tensor_expr(data)
    total, *extents = converter.static_shape(expr)
    count = len(blocks)
    batch = total // prod(blocks)
    expr = relax.op.reshape(expr, [*blocks, batch, *extents])
    order = [count]
    for axis in range(count):
        order += [count + 1 + axis, axis]
    order += list(range(2 * count + 1, count + 1 + len(extents)))
    expr = relax.op.permute_dims(expr, order)
    grown = [extent * block for extent, block in zip(extents, blocks, strict=False)]
    expr = relax.op.reshape(expr, [batch, *grown, *extents[count:]])
    return relax.op.strided_slice(
        expr,
        axes=list(range(1, count + 1)),
        begin=[crop[0] for crop in crops],
        end=[extent - crop[1] for extent, crop in zip(grown, crops, strict=True)],
    )


rule("SPLIT")(functools.partial(_split, "SPLIT"))
rule("SPLIT_V")(functools.partial(_split, "SPLIT_V"))
