"""`FoldAffine`: constant factors and summands after a convolution go into its weights.

    conv(x, w) * s + t     ->   conv(x, w * s) + t          (s, t: one number a channel)
    (x * s + t) * u + v    ->   x * (s * u) + (t * u + v)

for `conv2d`, `conv2d_transpose` and `matmul` with constant float weights, along the chain of
operators that are the only readers of what comes before, which is how an inference batch norm
vanishes.  What is left is at most one `add` of a bias, or a `multiply` and an `add` where there is
no convolution in front.  The folded operator stands where the first of the chain stood.

Does not handle: quantized weights (a quantizer folds batch norm before it chooses scales), and
factors that come before a convolution; both stay as `multiply` and `add`.  A `Decision` says why
factors behind a convolution could not go into its weights.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm import relax
from tvm.ir import Call

from ..ir.constant_tensor import exact_constant
from ..ir.dataflow import DataflowRewriter, dtype_of, is_call, shape_of
from ..ir.decisions import LEFT_ALONE
from ..ir.rewriting_pass import rewriting_pass

NAME = "FoldAffine"
_MERGED = (
    ["relax.multiply"],
    ["relax.add"],
    ["relax.subtract"],
    ["relax.divide"],
    ["relax.multiply", "relax.add"],
)
_TRANSPOSED = "relax.nn.conv2d_transpose"
_AFFINE = ("relax.add", "relax.subtract", "relax.multiply", "relax.divide")
_WEIGHTED = ("relax.nn.conv2d", _TRANSPOSED, "relax.matmul")


class _Rewriter(DataflowRewriter):
    def rewrite(self, var: relax.Var, expr: relax.Expr) -> relax.Expr | None:
        if is_call(expr, *_WEIGHTED):
            return self._fold_into_weights(var, expr)
        if is_call(expr, *_AFFINE):
            return self._merge(var, expr)
        return None

    def _fold_into_weights(self, var: relax.Var, call: Any) -> relax.Expr | None:
        weight = self.old.constant(call.args[1])
        shape = shape_of(call)
        if weight is None or weight.is_quantized:
            return None
        if is_call(call, "relax.matmul"):
            if len(weight.shape) != 2:
                return None
            axis, weight_axis = len(shape) - 1, 1
        else:
            axis = call.attrs.out_layout.index("C")
            weight_axis = call.attrs.kernel_layout.index("O")
        ones, zeros = np.ones(shape[axis]), np.zeros(shape[axis])
        scale, offset, chain = self._chain(var, ones, zeros, shape, axis)
        if not chain:
            return None
        data, weight_expr = self.new(call.args[0]), self.new(call.args[1])
        if (scale != 1.0).any():
            if is_call(call, _TRANSPOSED):
                factor = _of_groups(scale, call, weight.shape)
            else:
                factor = _spread(scale, weight_axis, len(weight.shape))
            scaled = weight.values * factor
            weight_expr = exact_constant(scaled.astype(weight.values.dtype))
        result = self.emit(Call(call.op, [data, weight_expr], call.attrs))
        if (offset != 0.0).any():
            bias = _spread(offset, axis, len(shape)).astype(weight.values.dtype)
            result = self.emit(relax.op.add(result, exact_constant(bias)))
        for fused in chain:
            self.replace(fused, result)
        return result

    def _merge(self, var: relax.Var, call: Any) -> relax.Expr | None:
        """Several per-channel factors and summands after another as one of each."""
        shape = shape_of(call)
        for data, other in (call.args, reversed(list(call.args))):
            constant = self.old.constant(other)
            if constant is not None and not constant.is_quantized and shape_of(data) == shape:
                break
        else:
            return None
        if not shape or not isinstance(data, relax.Var) or "float" not in dtype_of(call):
            return None
        found = self._axis(var, data, shape)
        axis = len(shape) - 1 if found is None else found
        first = self._apply(call, data, np.ones(shape[axis]), np.zeros(shape[axis]), shape, axis)
        if first is None:
            return None
        scale, offset, chain = self._chain(var, *first, shape, axis)
        if (scale != 1.0).any():
            self._explain(var, data)
        if [self.old.definitions[v].op.name for v in (var, *chain)] in _MERGED:
            return None
        if found is None:
            scale, offset = scale[:1], offset[:1]
        result = self.new(data)
        if (scale != 1.0).any():
            factor = _spread(scale, axis, len(shape)).astype(dtype_of(call))
            result = self.emit(relax.op.multiply(result, exact_constant(factor)))
        if (offset != 0.0).any():
            summand = _spread(offset, axis, len(shape)).astype(dtype_of(call))
            result = self.emit(relax.op.add(result, exact_constant(summand)))
        for fused in chain:
            self.replace(fused, result)
        return result

    def _axis(self, var: relax.Var, data: relax.Var, shape: tuple[int, ...]) -> int | None:
        """The axis of a chain's first constant of several numbers; None if there is none."""
        step: tuple[relax.Var, Any] | None = var, self.old.definitions[var]
        while step is not None and is_call(step[1], *_AFFINE):
            target, call = step
            others = [arg for arg in call.args if not arg.same_as(data)]
            constant = self.old.constant(others[0]) if len(others) == 1 else None
            if constant is None:
                break
            aligned = (1,) * (len(shape) - len(constant.shape)) + constant.shape
            for axis, length in enumerate(aligned):
                if length > 1:
                    return axis
            step, data = self.old.sole_reader(target), target
        return None

    def _explain(self, var: relax.Var, data: relax.Var) -> None:
        """Record why a factor is not part of the weights of the layer before it."""
        layer: Any = self.old.definition(data)
        if not is_call(layer, *_WEIGHTED):
            return
        kind = layer.op.name.rpartition(".")[2]
        weight = self.old.constant(layer.args[1])
        if weight is None:
            reason = f"the weights of the {kind} before it are computed"
        elif weight.is_quantized:
            reason = f"the weights of the {kind} before it are quantized"
        elif self.old.sole_reader(data) is None:
            reason = f"the result of the {kind} before it is read elsewhere too"
        else:
            reason = f"it is not one number for each channel of the {kind} before it"
        self.decide(NAME, var, LEFT_ALONE, reason)

    def _chain(
        self,
        var: relax.Var,
        scale: np.ndarray,
        offset: np.ndarray,
        shape: tuple[int, ...],
        axis: int,
    ) -> tuple[np.ndarray, np.ndarray, list[relax.Var]]:
        """Scale, offset and variables of the longest per-channel chain that reads `var`."""
        chain: list[relax.Var] = []
        while (reader := self.old.sole_reader(var)) is not None:
            target, call = reader
            step = self._apply(call, var, scale, offset, shape, axis)
            if step is None:
                break
            (scale, offset), var = step, target
            chain.append(target)
        return scale, offset, chain

    def _apply(
        self,
        call: Any,
        var: relax.Var,
        scale: np.ndarray,
        offset: np.ndarray,
        shape: tuple[int, ...],
        axis: int,
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """`scale` and `offset` after an operator on `var`; None if it is not per-channel."""
        if not is_call(call, *_AFFINE):
            return None
        value = self._channel_value(call, var, shape, axis)
        if value is None:
            return None
        if is_call(call, "relax.add"):
            return scale, offset + value
        if is_call(call, "relax.subtract"):
            return scale, offset - value
        factor = value if is_call(call, "relax.multiply") else 1.0 / value
        return scale * factor, offset * factor

    def _channel_value(
        self, call: Any, var: relax.Var, shape: tuple[int, ...], axis: int
    ) -> np.ndarray | None:
        """The constant operand as one float64 a channel; None if it is no such thing."""
        left, right = call.args
        commutes = is_call(call, "relax.add", "relax.multiply")
        if left.same_as(var):
            other = right
        elif commutes:
            other = left
        else:
            return None
        constant = self.old.constant(other)
        if constant is None or constant.is_quantized or shape_of(call) != shape:
            return None
        values = constant.values.astype(np.float64)
        values = values.reshape((1,) * (len(shape) - values.ndim) + values.shape)
        if values.size not in (1, values.shape[axis]):
            return None
        return np.broadcast_to(values.reshape(-1), (shape[axis],))


FoldAffine = rewriting_pass(NAME, _Rewriter)
"""Module pass: see the file's docstring."""


def _of_groups(scale: np.ndarray, call: Any, shape: tuple[int, ...]) -> np.ndarray:
    """`scale` for each output channel as factors of a transposed convolution's weights.

    They have the input channels of all groups, and the output channels of one.
    """
    channels, filters = (call.attrs.kernel_layout.index(letter) for letter in "IO")
    groups = int(call.attrs.groups)
    matrix = np.repeat(scale.reshape(groups, -1), shape[channels] // groups, axis=0)
    if channels > filters:
        matrix = matrix.T
    return matrix.reshape([n if i in (channels, filters) else 1 for i, n in enumerate(shape)])


def _spread(vector: np.ndarray, axis: int, rank: int) -> np.ndarray:
    """`vector` along `axis` of a tensor of `rank` axes."""
    shape = [1] * rank
    shape[axis] = -1
    return vector.reshape(shape)
