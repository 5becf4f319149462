"""`DilateConvolutions`: a convolution of an image's phases is a dilated one of the image.

    y = space_to_batch(x, block)            y = x
    z = relu(conv2d(y, w) + b)        ->    z = relu(conv2d(y, w, dilation=block) + b)
    r = batch_to_space(z, block)            r = z

TensorFlow wrote dilated convolutions so: every phase, the pixels whose row and column have the same
remainder, becomes an image of a batch.  Both compute the same sums, in the same order; the dilated
one can stream, and makes no copies.

Operators that act on each element stand between; their constants are the same for all images.  The
two ends are the reshapes and transposes with which importers write them, NHWC.  Whatever else reads
the batch still gets it.

Does not handle: strides, dilations of phases, batches of several images.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import tvm
from tvm import relax
from tvm.ir import Call

from ..ir.dataflow import DataflowRewriter, is_call, shape_of
from .fold_constants import permutation

NAME = "DilateConvolutions"

_ELEMENTWISE = tuple(
    f"relax.{name}"
    for name in (
        *("add", "subtract", "multiply", "divide", "maximum", "minimum", "clip"),
        *("quantize", "dequantize", "nn.relu", "nn.silu", "sigmoid", "tanh", "astype"),
    )
)
_TO_BATCH = (2, 4, 0, 1, 3, 5)  # of rows, columns and their places in a block
_FROM_BATCH = (2, 3, 0, 4, 1, 5)


@tvm.transform.module_pass(opt_level=0, name=NAME)
class DilateConvolutions:
    """Module pass: see the file's docstring."""

    def transform_module(
        self, module: tvm.IRModule, _context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        rewriter = _Rewriter(module)
        calls = (expr for _, expr in rewriter.old.bindings)
        if not any(is_call(expr, "relax.permute_dims") for expr in calls):
            return module
        return rewriter.run()


class _Rewriter(DataflowRewriter):
    def __init__(self, module: tvm.IRModule) -> None:
        super().__init__(module)
        # Of an old batch of phases: the new image, and rows and columns of a block.
        self.images: dict[relax.Var, tuple[relax.Expr, tuple[int, int]]] = {}

    def rewrite(self, var: relax.Var, expr: relax.Expr) -> relax.Expr | None:
        if is_call(expr, "relax.reshape"):
            return self._end(var, expr)
        if is_call(expr, "relax.nn.conv2d"):
            self._convolution(var, expr)
        elif is_call(expr, *_ELEMENTWISE):
            self._each_element(var, expr)
        return None

    def _end(self, var: relax.Var, call: Any) -> relax.Expr | None:
        """Notes an image that becomes its phases; returns the image that phases become."""
        moved: Any = self.old.definition(call.args[0])
        split: Any = (
            self.old.definition(moved.args[0]) if is_call(moved, "relax.permute_dims") else None
        )
        if not is_call(split, "relax.reshape") or len(shape_of(split)) != 6:
            return None
        source, parts, made = split.args[0], shape_of(split), tuple(shape_of(call))
        order = permutation(moved)
        if len(shape_of(source)) != 4 or not isinstance(source, relax.Var):
            return None
        if order == _TO_BATCH and parts[0] == 1:
            _, height, rows, width, columns, channels = parts
            if made == (rows * columns, height, width, channels):
                self.images[var] = (self.new(source), (rows, columns))
        elif order == _FROM_BATCH and source in self.images:
            image, block = self.images[source]
            rows, columns, batch, height, width, channels = parts
            whole = (1, height * rows, width * columns, channels)
            if (rows, columns) == block and batch == 1 and made == whole:
                return image if tuple(shape_of(image)) == whole else None
        return None

    def _convolution(self, var: relax.Var, call: Any) -> None:
        data, weight = call.args
        attrs = call.attrs
        plain = [int(n) for n in (*attrs.strides, *attrs.dilation)] == [1, 1, 1, 1]
        if data not in self.images or not plain or attrs.data_layout != "NHWC":
            return
        image, (rows, columns) = self.images[data]
        padding = [int(n) for n in attrs.padding]
        top, left, bottom, right = padding if len(padding) == 4 else (padding * 4)[:4]
        dilated = relax.op.nn.conv2d(
            image,
            self.new(weight),
            padding=(top * rows, left * columns, bottom * rows, right * columns),
            dilation=(rows, columns),
            groups=int(attrs.groups),
            data_layout=attrs.data_layout,
            kernel_layout=attrs.kernel_layout,
            out_layout=attrs.out_layout,
            out_dtype=attrs.out_dtype,
        )
        self.images[var] = (self.emit(dilated), (rows, columns))

    def _each_element(self, var: relax.Var, call: Any) -> None:
        tensors = [a for a in call.args if isinstance(getattr(a, "ty", None), relax.TensorType)]
        found = [self.images[tensor] for tensor in tensors if tensor in self.images]
        others = [tensor for tensor in tensors if tensor not in self.images]
        if not found or len({block for _, block in found}) > 1 or not self._same(others):
            return
        axis = int(getattr(call.attrs, "axis", -1))
        if is_call(call, "relax.quantize", "relax.dequantize") and axis not in (-1, 3):
            if any(prod(shape_of(other)) > 1 for other in others):
                return
        operands = [
            self.images[arg][0] if arg in self.images else self.new(arg) for arg in call.args
        ]
        self.images[var] = (self.emit(Call(call.op, operands, call.attrs)), found[0][1])

    def _same(self, others: Sequence[relax.Expr]) -> bool:
        """Whether constants are the same for all pixels of all images."""
        return all(
            self.old.constant(other) is not None and prod(shape_of(other)[:-1]) == 1
            for other in others
        )
