"""`DecomposeComposites`: say with few operators what frontends say with many.

===============================================  ================================================
before                                           after
===============================================  ================================================
``batch_norm(x)[0]``, parameters constant        ``x * scale + offset``
``dropout(x)[0]``                                ``x``
``split(x)[i]``                                  ``strided_slice(x)``; ``x`` where it is whole
``sum(stack(a, b, c), axis=0)`` (ONNX ``Sum``)   ``a + b + c``; likewise ``max`` and ``min``
``squeeze``, ``expand_dims``, ``flatten``        ``reshape``
``mean(mean(x, 3), 2)``, ``mean(flatten(x, 2), 2)``   ``mean(x, (2, 3))``
``take(x, 0)`` along an axis of length 1         ``reshape(x)``
``relu6(x)``                                     ``clip(x, 0, 6)``
``power(x, 1)``, ``sign(x) * relu(abs(x))``      ``x``
``maximum(x, c)``, ``minimum(x, c)``, c scalar   ``clip(x, c, inf)``, ``clip(x, -inf, c)``
``conv1d``, ``max_pool1d``, ``avg_pool1d``       ``reshape``, the same in 2-D with a width of 1
``adaptive_*_pool2d`` whose windows are equal    ``mean``, ``*_pool2d``
pooling with ``ceil_mode``                       pooling with more padding after, if that is equal
``resize2d`` by corners to a height of 1         the first row, resized as two of them, one taken
===============================================  ================================================

Does not handle: training-mode batch norm, batch norm with computed parameters.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import tvm
from tvm import relax

from ..ir.dataflow import DataflowRewriter, dtype_of, is_call, shape_of


@tvm.transform.module_pass(opt_level=0, name="DecomposeComposites")
class DecomposeComposites:
    """Module pass: see the file's docstring."""

    def transform_module(
        self, module: tvm.IRModule, _context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        return _Rewriter(module).run()


class _Rewriter(DataflowRewriter):
    def rewrite(self, var: relax.Var, expr: relax.Expr) -> relax.Expr | None:
        if isinstance(expr, relax.TupleGetItem):
            source = self.old.definition(expr.tuple_value)
            if isinstance(source, relax.Tuple):
                return self.new(source.fields[expr.index])
            if is_call(source, *_TUPLE_MEMBERS):
                return _TUPLE_MEMBERS[source.op.name](self, source, expr.index)
        elif is_call(expr, *_CALLS):
            return _CALLS[expr.op.name](self, expr)
        return None

    # --- members of tuples -------------------------------------------------------------------

    def batch_norm(self, call: Any, index: int) -> relax.Expr | None:
        parameters = [self.old.constant(arg) for arg in call.args[1:]]
        if index != 0 or call.attrs.training or any(p is None for p in parameters):
            return None
        gamma, beta, mean, variance = (p.real().astype(np.float64) for p in parameters if p)
        scale = 1.0 / np.sqrt(variance + call.attrs.epsilon)
        if call.attrs.scale:
            scale = scale * gamma
        offset = -mean * scale + (beta if call.attrs.center else 0.0)
        rank = len(shape_of(call.args[0]))
        shape = [1] * rank
        shape[call.attrs.axis] = -1
        factor, summand = (relax.const(v.astype("float32").reshape(shape)) for v in (scale, offset))
        product = self.emit(relax.op.multiply(self.new(call.args[0]), factor))
        return relax.op.add(product, summand)

    def dropout(self, call: Any, index: int) -> relax.Expr | None:
        return self.new(call.args[0]) if index == 0 else None

    def split(self, call: Any, index: int) -> relax.Expr | None:
        shape = shape_of(call.args[0])
        axis = call.attrs.axis % len(shape)
        sections = call.attrs.indices_or_sections
        if hasattr(sections, "value") or isinstance(sections, int):
            length = math.ceil(shape[axis] / int(sections))
            begin, end = index * length, min((index + 1) * length, shape[axis])
        else:
            bounds = [0, *(int(s) for s in sections), shape[axis]]
            begin, end = bounds[index], bounds[index + 1]
        return relax.op.strided_slice(self.new(call.args[0]), axes=[axis], begin=[begin], end=[end])

    # --- calls -------------------------------------------------------------------------------

    def split_whole(self, call: Any) -> relax.Expr | None:
        """A split into one part, whose type is no tuple."""
        return self.new(call.args[0]) if isinstance(call.ty, relax.TensorType) else None

    def reduce_stack(self, call: Any) -> relax.Expr | None:
        stack = self.old.definition(call.args[0])
        if not is_call(stack, "relax.stack") or call.attrs.keepdims or call.attrs.axis is None:
            return None
        rank = len(shape_of(call.args[0]))
        if [int(a) % rank for a in call.attrs.axis] != [stack.attrs.axis % rank]:
            return None
        fields = self.old.definition(stack.args[0])
        if not isinstance(fields, relax.Tuple):
            return None
        binary = {
            "relax.sum": relax.op.add,
            "relax.max": relax.op.maximum,
            "relax.min": relax.op.minimum,
        }[call.op.name]
        total, *others = (self.new(field) for field in fields.fields)
        for other in others:
            total = self.emit(binary(total, other))
        return total

    def reshape_only(self, call: Any) -> relax.Expr:
        return relax.op.reshape(self.new(call.args[0]), shape_of(call))

    def relu6(self, call: Any) -> relax.Expr:
        return relax.op.clip(self.new(call.args[0]), 0, 6)

    def bound(self, call: Any) -> relax.Expr | None:
        for operand, bound in (call.args, reversed(list(call.args))):
            constant = self.old.constant(bound)
            if constant is None or constant.is_quantized or constant.values.size != 1:
                continue
            if shape_of(operand) != shape_of(call) or "float" not in dtype_of(call):
                continue
            value = float(constant.values.reshape(-1)[0])
            low, high = (value, math.inf) if is_call(call, "relax.maximum") else (-math.inf, value)
            return relax.op.clip(self.new(operand), low, high)
        return None

    def mean(self, call: Any) -> relax.Expr | None:
        """Over height and width, however they are named one after the other."""
        below: Any = self.old.definition(call.args[0])
        shape = shape_of(call.args[0])
        axes = {int(a) % len(shape) for a in call.attrs.axis or range(len(shape))}
        if is_call(below, "relax.reshape", "relax.flatten") and len(shape) == 3 and axes == {2}:
            image = shape_of(below.args[0])
            if len(image) != 4 or image[:2] != shape[:2]:
                return None
        elif is_call(below, "relax.mean") and len(shape_of(below.args[0])) == 4:
            image = shape_of(below.args[0])
            inner = {int(a) % 4 for a in below.attrs.axis or range(4)}
            left = [axis for axis in range(4) if below.attrs.keepdims or axis not in inner]
            if inner | {left[axis] for axis in axes} != {2, 3}:
                return None
        else:
            return None
        mean = self.emit(relax.op.mean(self.new(below.args[0]), axis=[2, 3], keepdims=True))
        return relax.op.reshape(mean, shape_of(call))

    def take_only(self, call: Any) -> relax.Expr | None:
        """One element of an axis that has one."""
        indices = self.old.constant(call.args[1])
        if indices is None or indices.values.size != 1 or call.attrs.axis is None:
            return None
        if shape_of(call.args[0])[int(call.attrs.axis)] != 1:
            return None
        return relax.op.reshape(self.new(call.args[0]), shape_of(call))

    def power(self, call: Any) -> relax.Expr | None:
        exponent = self.old.constant(call.args[1])
        same = shape_of(call.args[0]) == shape_of(call)
        if exponent is None or not same or (exponent.real() != 1.0).any():
            return None
        return self.new(call.args[0])

    def signed_magnitude(self, call: Any) -> relax.Expr | None:
        """As PyTorch's power pooling says x, for the sake of its gradient."""
        for sign, magnitude in (call.args, reversed(list(call.args))):
            parts = [self.old.definition(sign), self.old.definition(magnitude)]
            if is_call(parts[1], "relax.nn.relu"):
                parts[1] = self.old.definition(parts[1].args[0])
            if is_call(parts[0], "relax.sign") and is_call(parts[1], "relax.abs"):
                if parts[0].args[0].same_as(parts[1].args[0]):
                    return self.new(parts[0].args[0])
        return None

    def conv1d(self, call: Any) -> relax.Expr | None:
        a = call.attrs
        if (a.data_layout, a.kernel_layout, a.out_layout) != ("NCW", "OIW", "NCW"):
            return None
        data, weight = (self._with_width(self.new(arg)) for arg in call.args)
        before, after = a.padding
        conv = relax.op.nn.conv2d(
            data,
            weight,
            strides=(a.strides[0], 1),
            padding=(before, 0, after, 0),
            dilation=(a.dilation[0], 1),
            groups=a.groups,
        )
        return relax.op.reshape(self.emit(conv), shape_of(call))

    def pool1d(self, call: Any) -> relax.Expr | None:
        a = call.attrs
        if (a.layout, a.out_layout) != ("NCW", "NCW"):
            return None
        pool = {
            "relax.nn.max_pool1d": relax.op.nn.max_pool2d,
            "relax.nn.avg_pool1d": relax.op.nn.avg_pool2d,
        }[call.op.name]
        before, after = a.padding
        result = pool(
            self._with_width(self.new(call.args[0])),
            pool_size=(a.pool_size[0], 1),
            strides=(a.strides[0], 1),
            padding=(before, 0, after, 0),
            dilation=(a.dilation[0], 1),
            ceil_mode=a.ceil_mode,
            count_include_pad=a.count_include_pad,
        )
        return relax.op.reshape(self.emit(self._without_ceil(self._typed(result))), shape_of(call))

    def adaptive_pool(self, call: Any) -> relax.Expr | None:
        shape, layout = shape_of(call.args[0]), call.attrs.layout
        if layout not in ("NCHW", "NHWC") or call.attrs.out_layout != layout:
            return None
        axes = [layout.index("H"), layout.index("W")]
        average = is_call(call, "relax.nn.adaptive_avg_pool2d")
        out = [shape_of(call)[axis] for axis in axes]
        if out == [1, 1]:
            reduce = relax.op.mean if average else relax.op.max
            return reduce(self.new(call.args[0]), axis=axes, keepdims=True)
        if any(shape[axis] % size for axis, size in zip(axes, out)):
            return None
        window = [shape[axis] // size for axis, size in zip(axes, out)]
        pool = relax.op.nn.avg_pool2d if average else relax.op.nn.max_pool2d
        return pool(self.new(call.args[0]), pool_size=window, strides=window, layout=layout)

    def pool2d(self, call: Any) -> relax.Expr | None:
        if not call.attrs.ceil_mode:
            return None
        changed = self._without_ceil(call)
        if changed is call:
            return None
        return tvm.ir.Call(changed.op, [self.new(call.args[0])], changed.attrs)

    def resize2d(self, call: Any) -> relax.Expr | None:
        """Mixed pixels whose corners are aligned, with one row or column in the result.

        That is the first one of the image, but TVM divides by the number of steps to the last.
        """
        a = call.attrs
        if a.coordinate_transformation_mode != "align_corners" or a.method == "nearest_neighbor":
            return None
        axes = [a.layout.index(letter) for letter in "HW"]
        single = [axis for axis in axes if shape_of(call)[axis] == 1]
        if not single or dtype_of(call) != dtype_of(call.args[0]):
            return None
        data = self._first(self.new(call.args[0]), single)
        if single == axes:
            return data
        (axis,) = single
        pair = self.emit(relax.op.concat([data, data], axis))
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
        return self._first(self.emit(resized), single)

    # --- parts -------------------------------------------------------------------------------

    def _first(self, expr: relax.Expr, axes: list[int]) -> relax.Expr:
        """What lies at the beginning of some axes."""
        ends = [1] * len(axes)
        return self.emit(relax.op.strided_slice(expr, axes, [0] * len(axes), ends))

    def _with_width(self, expr: relax.Expr) -> relax.Expr:
        return self.emit(relax.op.reshape(expr, (*shape_of(expr), 1)))

    def _typed(self, call: Any) -> Any:
        return relax.BlockBuilder().normalize(call)

    def _without_ceil(self, call: Any) -> Any:
        """The pooling with its rounding up of sizes said as padding; the same call if unequal."""
        a = call.attrs
        if not a.ceil_mode or (is_call(call, "relax.nn.avg_pool2d") and a.count_include_pad):
            return call
        shape, out = shape_of(call.args[0]), shape_of(call)
        padding = [int(p) for p in a.padding]
        for index, letter in enumerate("HW"):
            axis, out_axis = a.layout.index(letter), a.out_layout.index(letter)
            start = (out[out_axis] - 1) * a.strides[index]
            if start >= shape[axis] + padding[index]:  # a window that sees nothing but padding
                return call
            span = (a.pool_size[index] - 1) * a.dilation[index] + 1
            after = start + span - shape[axis] - padding[index]
            padding[index + 2] = max(after, 0)
        pool = relax.op.nn.max_pool2d
        if is_call(call, "relax.nn.avg_pool2d"):
            pool = relax.op.nn.avg_pool2d
        return pool(
            call.args[0],
            pool_size=a.pool_size,
            strides=a.strides,
            padding=padding,
            dilation=a.dilation,
            ceil_mode=False,
            count_include_pad=a.count_include_pad,
            layout=a.layout,
            out_layout=a.out_layout,
        )


_TUPLE_MEMBERS = {
    "relax.nn.batch_norm": _Rewriter.batch_norm,
    "relax.nn.dropout": _Rewriter.dropout,
    "relax.split": _Rewriter.split,
}
_CALLS = {
    "relax.split": _Rewriter.split_whole,
    "relax.sum": _Rewriter.reduce_stack,
    "relax.max": _Rewriter.reduce_stack,
    "relax.min": _Rewriter.reduce_stack,
    "relax.squeeze": _Rewriter.reshape_only,
    "relax.expand_dims": _Rewriter.reshape_only,
    "relax.flatten": _Rewriter.reshape_only,
    "relax.nn.batch_flatten": _Rewriter.reshape_only,
    "relax.nn.relu6": _Rewriter.relu6,
    "relax.mean": _Rewriter.mean,
    "relax.take": _Rewriter.take_only,
    "relax.power": _Rewriter.power,
    "relax.multiply": _Rewriter.signed_magnitude,
    "relax.maximum": _Rewriter.bound,
    "relax.minimum": _Rewriter.bound,
    "relax.nn.conv1d": _Rewriter.conv1d,
    "relax.nn.max_pool1d": _Rewriter.pool1d,
    "relax.nn.avg_pool1d": _Rewriter.pool1d,
    "relax.nn.adaptive_avg_pool2d": _Rewriter.adaptive_pool,
    "relax.nn.adaptive_max_pool2d": _Rewriter.adaptive_pool,
    "relax.nn.max_pool2d": _Rewriter.pool2d,
    "relax.nn.avg_pool2d": _Rewriter.pool2d,
    "relax.image.resize2d": _Rewriter.resize2d,
}
