"""Operators of PyTorch that TVM's importer takes without a word and computes otherwise.

It overlooks attributes (alpha of sums, scales of ELU, the divisor of average pooling,
antialiasing), looks for the nearest pixels elsewhere, does not count negative indices from the end,
and divides by numbers of another type.  Found by comparing with PyTorch.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from tvm import relax, tirx

from .pytorch_resizing import CONVERTERS as RESIZING
from .transposed_windows import reaching

Converter = Callable[[Any, Any], relax.Var]  # of a node of torch.fx, and the importer


def _sum(function: Callable[[Any, Any], relax.Expr], operation: Callable[..., Any]) -> Converter:
    """``add.Tensor`` and ``sub.Tensor(input, other, *, alpha=1)``: `other` times `alpha`."""

    def convert(node: Any, importer: Any) -> relax.Var:
        alpha = node.kwargs.get("alpha", 1)
        if alpha == 1:
            return importer._binary_op(function, operation)(node)
        left, right = importer.retrieve_args(node)
        return importer.block_builder.emit(function(left, _times(right, alpha, left)))

    return convert


def _reverse_subtract(node: Any, importer: Any) -> relax.Var:
    """``rsub(input, other, alpha=1)``: `other` less `input` times `alpha`."""
    left, right, *alpha = importer.retrieve_args(node)
    factor = alpha[0] if alpha else node.kwargs.get("alpha", 1)
    right = _times(right, 1, left)
    return importer.block_builder.emit(relax.op.subtract(right, _times(left, factor, left)))


def _times(operand: Any, factor: float, like: Any) -> relax.Expr:
    """`operand`, a tensor or a number, times a number, of the type of `like`."""
    if not isinstance(operand, relax.Expr):
        return relax.const(operand * factor, like.ty.dtype)
    if operand.ty.dtype != like.ty.dtype:
        raise ValueError(f"a scaled sum of {like.ty.dtype} and {operand.ty.dtype}")
    if factor == 1:
        return operand
    return relax.op.multiply(operand, relax.const(factor, operand.ty.dtype))


def _rounded_quotient(node: Any, importer: Any) -> relax.Var:
    """``div(input, other, *, rounding_mode)``, where `other` may be a number of another type."""
    left, right = importer.retrieve_args(node)
    right = _times(right, 1, left)
    mode, is_real = node.kwargs.get("rounding_mode"), "float" in str(left.ty.dtype)
    emit = importer.block_builder.emit
    if mode == "floor" and not is_real:
        return emit(relax.op.floor_divide(left, right))
    if not is_real:
        raise ValueError(f"a quotient of {left.ty.dtype} with the rounding mode {mode}")
    quotient = emit(relax.op.divide(left, right))
    rounding = {"floor": relax.op.floor, "trunc": relax.op.trunc}.get(mode)
    return quotient if rounding is None else emit(rounding(quotient))


def _elu(node: Any, importer: Any) -> relax.Var:
    """``elu(input, alpha=1, scale=1, input_scale=1)``; SELU and CELU are such."""
    data, *factors = importer.retrieve_args(node)
    alpha, scale, input_scale = (*factors, 1, 1, 1)[:3]
    one = relax.const(1, data.ty.dtype)
    emit = importer.block_builder.emit
    power = emit(relax.op.exp(_times(data, input_scale, data)))
    below = emit(relax.op.nn.relu(relax.op.subtract(one, power)))
    result = emit(relax.op.subtract(relax.op.nn.relu(data), _times(below, alpha, data)))
    return emit(_times(result, scale, data))


def _extremum(function: Callable[..., relax.Expr]) -> Converter:
    """``amax`` and ``amin(input, dim=(), keepdim=False)``, which the importer does not know."""

    def convert(node: Any, importer: Any) -> relax.Var:
        given = dict(zip(("input", "dim", "keepdim"), node.args)) | node.kwargs
        return importer.block_builder.emit(
            function(
                importer.env[given["input"]],
                list(given.get("dim", ())) or None,
                given.get("keepdim", False),
            )
        )

    return convert


def _product(node: Any, importer: Any) -> relax.Var:
    """``prod(input, dim=None, keepdim=False)``; ``prod.default`` is over everything."""
    given = dict(zip(("input", "dim", "keepdim"), node.args)) | node.kwargs
    return importer.block_builder.emit(
        relax.op.prod(
            importer.env[given["input"]], given.get("dim"), keepdims=given.get("keepdim", False)
        )
    )


def _grid_sample(node: Any, importer: Any) -> relax.Var:
    """``grid_sampler_2d``: the two coordinates are the grid's last axis, the importer's second."""
    data, grid, *options = importer.retrieve_args(node)
    methods, borders = ("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection")
    method, border, align_corners = (*options, 0, 0, False)[:3]
    emit = importer.block_builder.emit
    return emit(
        relax.op.image.grid_sample(
            data,
            emit(relax.op.permute_dims(grid, [0, 3, 1, 2])),
            method=methods[method],
            layout="NCHW",
            padding_mode=borders[border],
            align_corners=bool(align_corners),
        )
    )


def _average_pool(node: Any, importer: Any) -> relax.Var:
    """``avg_pool2d`` with a divisor: the average, padding counted, times the elements by it."""
    operands, named = node.normalized_arguments(node)
    names = ("input", "kernel_size", "stride", "padding", "ceil_mode", "count_include_pad")
    given = dict(zip((*names, "divisor_override"), operands)) | named
    divisor = given.get("divisor_override")
    if divisor is None:
        return importer._avg_pool2d(node)
    if given.get("ceil_mode"):
        raise ValueError("average pooling with a divisor and ceil_mode is not supported")
    height, width = (*given["kernel_size"], *given["kernel_size"])[:2]
    data = importer.env[given["input"]]
    average = importer._avg_pool2d_impl(
        data, [height, width], given.get("stride"), given.get("padding", 0), False, True
    )
    return importer.block_builder.emit(_times(average, height * width / divisor, data))


def _maximum_pool(convert: str) -> Converter:
    """``max_poolNd_with_indices``, whose stride may be (), which stands for the window's size."""

    def converted(node: Any, importer: Any) -> Any:
        data, size, *others = node.args
        if others and not others[0]:
            node.args = (data, size, size, *others[1:])
        return getattr(importer, convert)(node)

    return converted


def _adaptive_maximum(node: Any, importer: Any) -> list[relax.Var]:
    """``adaptive_max_pool2d(input, output_size)``, no indices."""
    data, given = importer.env[node.args[0]], node.args[1]
    if data.ty.ndim == 3:  # an image without a batch
        emit = importer.block_builder.emit
        (pooled,) = _largest_of_windows(emit(relax.op.expand_dims(data, [0])), given, importer)
        return [emit(relax.op.squeeze(pooled, [0]))]
    return _largest_of_windows(data, given, importer)


def _largest_of_windows(data: Any, given: Any, importer: Any) -> list[relax.Var]:
    """Where windows have several lengths, the last pixel of shorter ones is there twice."""
    lengths = [int(length) for length in importer.shape_of(data).values[-2:]]
    sizes = [given, given] if isinstance(given, int) else [int(size) for size in given]
    if sizes == [1, 1]:
        return [importer.block_builder.emit(relax.op.max(data, [-2, -1], keepdims=True))]
    window = [length // size for length, size in zip(lengths, sizes)]
    for i, (length, size) in enumerate(zip(lengths, sizes)):
        if length % size:
            number = np.arange(size)
            first, end = number * length // size, -(-(number + 1) * length // size)
            window[i] = int((end - first).max())
            places = np.minimum(first[:, None] + np.arange(window[i]), end[:, None] - 1)
            indices = relax.const(places.ravel().astype("int32"))
            data = importer.block_builder.emit(relax.op.take(data, indices, i - 2))
    return [importer.block_builder.emit(relax.op.nn.max_pool2d(data, window, window))]


def _sort(node: Any, importer: Any) -> relax.Var:
    """``sort(input, dim=-1, descending=False)``: values and indices, as many as there are."""
    operands, named = node.normalized_arguments(node)
    given = dict(zip(("input", "dim", "descending"), operands)) | named
    data, axis = importer.env[given["input"]], given.get("dim", -1)
    count = int(importer.shape_of(data)[axis])
    largest = bool(given.get("descending", False))
    return importer.block_builder.emit(
        relax.op.topk(data, count, axis, "both", largest, dtype="int64")
    )


def _convolution(node: Any, importer: Any) -> relax.Var:
    """``convolution(..., transposed, output_padding, groups)``: any output padding."""
    data, weight, bias, stride, padding, dilation, transposed, extra, groups = (
        importer.retrieve_args(node)
    )
    data, remaining = reaching(data, range(2, 2 + len(stride)), extra, stride)
    convolve = getattr(importer, f"_conv_transpose{len(stride)}d_impl", None)
    if not transposed or remaining == list(extra) or convolve is None:
        return importer._convolution(node)
    return convolve(
        importer.block_builder.emit(data),
        weight,
        bias=bias,
        strides=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        output_padding=remaining,
    )


def _select(node: Any, importer: Any) -> relax.Var:
    """``select(input, dim, index)``: a slice of one, without its axis."""
    data, axis, index = importer.retrieve_args(node)
    begin = _from_the_start(index, importer.shape_of(data)[axis])
    part = importer.block_builder.emit(relax.op.strided_slice(data, [axis], [begin], [begin + 1]))
    return importer.block_builder.emit(relax.op.squeeze(part, [axis]))


def _narrow(node: Any, importer: Any) -> relax.Var:
    """``narrow(input, dim, start, length)``."""
    data, axis, start, length = importer.retrieve_args(node)
    begin = _from_the_start(start, importer.shape_of(data)[axis])
    return importer.block_builder.emit(
        relax.op.strided_slice(data, [axis], [begin], [begin + length])
    )


def _from_the_start(index: Any, length: Any) -> Any:
    """A number of an element; negative ones count from the end."""
    return index + length if isinstance(index, int) and index < 0 else index


def _index(node: Any, importer: Any) -> relax.Var:
    """``index.Tensor(input, indices)``; indices are broadcast, negative ones count from the end."""
    data, indices = importer.retrieve_args(node)
    shape = list(importer.shape_of(data))
    if data.ty.ndim == 0 or any(str(i.ty.dtype) == "bool" for i in indices if i is not None):
        return importer._index_tensor(node)
    axes = [axis for axis, index in enumerate(indices) if index is not None]
    if axes != list(range(axes[0], axes[-1] + 1)):
        raise ValueError("indices of axes that are not neighbours are not supported")
    if len(axes) > 1 and not all(isinstance(shape[axis], tirx.IntImm) for axis in axes):
        raise ValueError("several indices of a tensor whose shape is not known")
    emit = importer.block_builder.emit
    place: Any = None  # among the elements of all these axes together
    for axis in axes:
        index = _counted_from_the_start(indices[axis], shape[axis], emit)
        if len(axes) > 1:  # outside of its axis it would be another element of all these
            index = emit(relax.op.clip(index, 0, int(shape[axis]) - 1))
        if place is None:
            place = index
        else:
            factor = relax.const(int(shape[axis]), str(index.ty.dtype))
            place = emit(relax.op.add(emit(relax.op.multiply(place, factor)), index))
    if len(axes) > 1:
        together = prod(int(shape[axis]) for axis in axes)
        data = emit(relax.op.reshape(data, [*shape[: axes[0]], together, *shape[axes[-1] + 1 :]]))
    return emit(relax.op.take(data, place, axis=axes[0]))


def _counted_from_the_start(indices: Any, length: Any, emit: Callable[[Any], Any]) -> Any:
    """Indices of an axis with negative ones replaced."""
    if not isinstance(length, tirx.IntImm):
        return indices
    kind = str(indices.ty.dtype)
    moved = emit(relax.op.add(indices, relax.const(int(length), kind)))
    negative = emit(relax.op.less(indices, relax.const(0, kind)))
    return emit(relax.op.where(negative, moved, indices))


CONVERTERS: dict[str, Converter] = {
    **RESIZING,
    "add.Tensor": _sum(relax.op.add, operator.add),
    "sub.Tensor": _sum(relax.op.subtract, operator.sub),
    "rsub.Tensor": _reverse_subtract,
    "rsub.Scalar": _reverse_subtract,
    "adaptive_max_pool2d.default": _adaptive_maximum,
    "div.Tensor_mode": _rounded_quotient,
    "elu.default": _elu,
    "amax.default": _extremum(relax.op.max),
    "amin.default": _extremum(relax.op.min),
    "avg_pool2d.default": _average_pool,
    "convolution.default": _convolution,
    "index.Tensor": _index,
    "max_pool2d_with_indices.default": _maximum_pool("_max_pool2d_with_indices"),
    "max_pool3d_with_indices.default": _maximum_pool("_max_pool3d_with_indices"),
    "narrow.default": _narrow,
    "grid_sampler_2d.default": _grid_sample,
    "prod.default": _product,
    "prod.dim_int": _product,
    "select.int": _select,
    "sort.default": _sort,
}
