"""Relax operators as element sums: what each linear one does to the arrays of an `ElementSum`.

An operator has a reader here if it moves elements, adds them up, multiplies them with constants or
adds constants to them, for a batch of one or more and in any layout.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from tvm import relax

from ..ir.dataflow import is_call, shape_of
from ..shortcuts.channel_sums import NotLinear
from .element_sums import ElementSum, joined
from .fold_constants import permutation

if TYPE_CHECKING:
    from .region_reader import RegionReader

Reader = Callable[["RegionReader", Any], ElementSum]


def _reshape(reader: RegionReader, call: Any) -> ElementSum:
    shape = shape_of(call)
    return reader.value(call.args[0]).moved(lambda a: a.reshape(shape))


def _permute_dims(reader: RegionReader, call: Any) -> ElementSum:
    axes = permutation(call)
    return reader.value(call.args[0]).moved(lambda a: a.transpose(axes))


def _broadcast_to(reader: RegionReader, call: Any) -> ElementSum:
    shape = shape_of(call)
    return reader.value(call.args[0]).moved(lambda a: np.broadcast_to(a, shape))


def _strided_slice(reader: RegionReader, call: Any) -> ElementSum:
    parameters = [reader.old.definition(arg) for arg in call.args[1:]]
    if not all(isinstance(parameter, relax.Tuple) for parameter in parameters):
        raise NotLinear("takes a slice that is computed")
    axes, *bounds = ([int(getattr(f, "value", f)) for f in p.fields] for p in parameters)
    steps = bounds[2] if len(bounds) > 2 else [1] * len(axes)
    whole = [slice(None)] * len(shape_of(call.args[0]))
    for axis, begin, end, step in zip(axes, bounds[0], bounds[1], steps):
        whole[axis] = slice(begin, end, step)
    return reader.value(call.args[0]).moved(lambda a: a[tuple(whole)])


def _take(reader: RegionReader, call: Any) -> ElementSum:
    indices = reader.old.constant(call.args[1])
    if indices is None or call.attrs.axis is None:
        raise NotLinear("takes elements that are computed")
    chosen = indices.values.astype(np.int64)
    axis = int(call.attrs.axis)
    return reader.value(call.args[0]).moved(lambda a: a.take(chosen, axis))


def _gather_nd(reader: RegionReader, call: Any) -> ElementSum:
    """Along the first axis."""
    indices = reader.old.constant(call.args[1])
    if indices is None or indices.shape[-1] != 1 or int(call.attrs.batch_dims):
        raise NotLinear("takes elements that are computed")
    chosen = indices.values[..., 0].astype(np.int64)
    return reader.value(call.args[0]).moved(lambda a: a.take(chosen, 0))


def _concat(reader: RegionReader, call: Any) -> ElementSum:
    fields = reader.old.definition(call.args[0])
    if not isinstance(fields, relax.Tuple):
        raise NotLinear("is concatenated from a tuple that is computed")
    rank = len(shape_of(call))
    return joined([reader.value(field) for field in fields.fields], int(call.attrs.axis) % rank)


def _stack(reader: RegionReader, call: Any) -> ElementSum:
    fields = reader.old.definition(call.args[0])
    if not isinstance(fields, relax.Tuple):
        raise NotLinear("is stacked from a tuple that is computed")
    axis = int(call.attrs.axis) % len(shape_of(call))
    parts = [
        reader.value(field).moved(lambda a: np.expand_dims(a, axis)) for field in fields.fields
    ]
    return joined(parts, axis)


def _pad(reader: RegionReader, call: Any) -> ElementSum:
    width = [int(w) for w in call.attrs.pad_width]
    if call.attrs.pad_mode != "constant" or min(width) < 0:
        raise NotLinear("is padded with something else than a constant")
    value = float(getattr(call.attrs.pad_value, "value", call.attrs.pad_value))
    return reader.value(call.args[0]).padded(list(zip(width[0::2], width[1::2])), value)


def _reduce(reader: RegionReader, call: Any) -> ElementSum:
    value = reader.value(call.args[0])
    rank = len(value.shape)
    axes = range(rank) if call.attrs.axis is None else call.attrs.axis
    axes = sorted({int(axis) % rank for axis in axes}, reverse=True)
    count = int(np.prod([value.shape[axis] for axis in axes]))
    reader.limit(value.cost * 2)
    for axis in axes:
        value = value.summed(axis)
    if is_call(call, "relax.mean"):
        value = value.scaled(np.float64(1.0 / count))
    shape = shape_of(call)
    return value.moved(lambda a: a.reshape(shape))


def _average_pool(reader: RegionReader, call: Any) -> ElementSum:
    a = call.attrs
    padding = [int(p) for p in a.padding]
    plain = (a.layout, a.out_layout) == ("NCHW", "NCHW") and set(a.dilation) == {1}
    if not plain or a.ceil_mode or (any(padding) and not a.count_include_pad):
        raise NotLinear("averages what lies inside the image")
    return _windows(reader, call, a.pool_size, 1.0 / (a.pool_size[0] * a.pool_size[1]))


def _maximum_pool(reader: RegionReader, call: Any) -> ElementSum:
    """Of single pixels: every second, for example."""
    a = call.attrs
    plain = (a.layout, a.out_layout) == ("NCHW", "NCHW") and not a.ceil_mode
    if not plain or set(a.pool_size) != {1} or any(int(p) for p in a.padding):
        raise NotLinear("is pooled by the maximum")
    return _windows(reader, call, a.pool_size, 1.0)


def _conv2d(reader: RegionReader, call: Any) -> ElementSum:
    """A convolution that sums windows of each channel, or channels of each pixel."""
    weight = fixed_weight(reader.old, call)
    if weight is None:
        raise NotLinear("comes from a convolution")
    filters, depth, *size = weight.shape
    if depth == 1:
        return _windows(reader, call, size, 1.0).scaled(weight[:, 0, :1, :1])
    value = _windows(reader, call, size, 1.0)
    reader.limit(value.cost * int((weight != 0.0).sum(1).max()))
    return value.mixed(weight.reshape(filters, depth), 1)


def _windows(reader: RegionReader, call: Any, size: Any, factor: float) -> ElementSum:
    value = reader.value(call.args[0])
    size = [int(n) for n in size]
    reader.limit(value.cost * size[0] * size[1])
    strides, padding = ([int(n) for n in t] for t in (call.attrs.strides, call.attrs.padding))
    return value.windows(size, strides, padding).scaled(np.float64(factor))


def fixed_weight(old: Any, call: Any) -> np.ndarray | None:
    """The weights [O, I, H, W] of a convolution that adds up elements; None if it does not.

    Depthwise, all weights of a channel are one number; pointwise, every channel of the data goes
    to one channel of the result, whose weights are one number.
    """
    a = call.attrs
    if (a.data_layout, a.kernel_layout, a.out_layout) != ("NCHW", "OIHW", "NCHW"):
        return None
    filters, depth, height, width = shape_of(call.args[1])
    channels = shape_of(call.args[0])[1]
    depthwise = depth == 1 and a.groups == filters == channels and height * width > 1
    pointwise = a.groups == 1 and depth > 1 and (height, width) == (1, 1)
    if not (depthwise or pointwise) or any(int(step) != 1 for step in a.dilation):
        return None
    constant = old.constant(call.args[1])
    if constant is None:
        return None
    weight = constant.real().astype(np.float64)
    if depthwise:
        return weight if (weight == weight[:, :, :1, :1]).all() else None
    used = weight != 0.0
    same = weight == weight.max(1, keepdims=True) + weight.min(1, keepdims=True)
    return weight if (used.sum(0) == 1).all() and same[used].all() else None


def _matmul(reader: RegionReader, call: Any) -> ElementSum:
    """The product with a constant matrix from either side."""
    left, right = (reader.old.constant(arg) for arg in call.args)
    matrix, data = (left, call.args[1]) if left is not None else (right, call.args[0])
    if matrix is None:
        raise NotLinear("is multiplied with another tensor")
    numbers = matrix.real().astype(np.float64)
    while numbers.ndim > 2 and numbers.shape[0] == 1:
        numbers = numbers[0]
    value = reader.value(data)
    if numbers.ndim != 2 or len(value.shape) < 2:
        raise NotLinear("is multiplied with several matrices")
    if left is None:
        numbers = numbers.T
    axis = len(value.shape) - (2 if left is not None else 1)
    reader.limit(value.cost * int((numbers != 0).sum(1).max()))
    shape = shape_of(call)
    return value.mixed(numbers, axis).moved(lambda a: a.reshape(shape))


def _einsum(reader: RegionReader, call: Any) -> ElementSum:
    """One tensor, and at most vectors of constants along its axes; other axes are summed."""
    fields = reader.old.definition(call.args[0])
    operands, arrow, result = call.attrs.subscripts.replace(" ", "").partition("->")
    letters = operands.split(",")
    if not isinstance(fields, relax.Tuple) or "." in operands or not arrow:
        raise NotLinear("is an Einstein sum of another kind")
    moving = [i for i, f in enumerate(fields.fields) if reader.old.constant(f) is None]
    if len(moving) != 1 or len(set(letters[moving[0]])) != len(letters[moving[0]]):
        raise NotLinear("is an Einstein sum of several tensors")
    axes = letters[moving[0]]
    value = reader.value(fields.fields[moving[0]])
    for index, (field, names) in enumerate(zip(fields.fields, letters)):
        if index in moving:
            continue
        constant = reader.old.constant(field)
        assert constant is not None  # all but one are
        numbers = constant.real().astype(np.float64)
        if len(names) == 1 and names in axes:
            spread = [1] * len(axes)
            spread[axes.index(names)] = -1
            value = value.scaled(numbers.reshape(spread))
        elif len(names) == 2 and (names[1] in axes) != (names[0] in axes):
            inner = names[0] if names[0] in axes else names[1]
            outer = names[1] if inner == names[0] else names[0]
            matrix = numbers if inner == names[1] else numbers.T
            value = value.mixed(matrix, axes.index(inner))
            axes = axes.replace(inner, outer)
        else:
            raise NotLinear("is an Einstein sum of another kind")
    reader.limit(value.cost * 2)
    for axis in reversed(range(len(axes))):
        if axes[axis] not in result:
            value = value.summed(axis)
    axes = "".join(letter for letter in axes if letter in result)
    return value.moved(lambda a: a.transpose([axes.index(letter) for letter in result]))


def _arithmetic(reader: RegionReader, call: Any) -> ElementSum:
    left, right = call.args
    constants = [reader.old.constant(arg) for arg in call.args]
    shape = shape_of(call)

    def operand(index: int) -> ElementSum:
        value = reader.value(call.args[index])
        return value.moved(lambda a: np.broadcast_to(a, shape))

    def number(index: int) -> np.ndarray:
        constant = constants[index]
        assert constant is not None
        return constant.real().astype(np.float64)

    if is_call(call, "relax.multiply", "relax.divide"):
        if constants[1] is not None:
            factor = number(1) if is_call(call, "relax.multiply") else 1.0 / number(1)
            return operand(0).scaled(factor)
        if constants[0] is None or is_call(call, "relax.divide"):
            raise NotLinear("is multiplied with another tensor")
        return operand(1).scaled(number(0))
    sign = -1.0 if is_call(call, "relax.subtract") else 1.0
    if constants[1] is not None:
        return operand(0).shifted(sign * number(1))
    second = operand(1).scaled(np.float64(sign))
    if constants[0] is not None:
        return second.shifted(number(0))
    return operand(0).plus(second)


READERS: dict[str, Reader] = {
    "relax.reshape": _reshape,
    "relax.permute_dims": _permute_dims,
    "relax.broadcast_to": _broadcast_to,
    "relax.strided_slice": _strided_slice,
    "relax.take": _take,
    "relax.gather_nd": _gather_nd,
    "relax.concat": _concat,
    "relax.stack": _stack,
    "relax.nn.pad": _pad,
    "relax.sum": _reduce,
    "relax.mean": _reduce,
    "relax.nn.avg_pool2d": _average_pool,
    "relax.nn.max_pool2d": _maximum_pool,
    "relax.nn.conv2d": _conv2d,
    "relax.matmul": _matmul,
    "relax.einsum": _einsum,
    "relax.add": _arithmetic,
    "relax.subtract": _arithmetic,
    "relax.multiply": _arithmetic,
    "relax.divide": _arithmetic,
}
