"""Constants as NumPy arrays that remember how they are quantized.

Moving the elements of a quantized weight (reshape, transpose) must move its scales along, and a
scale that ran along one axis may run along another afterwards, or along two merged ones.  Keeping
one scale for each element, as a broadcast view, makes every move the same operation on three
arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tvm import relax
from tvm.ir import Call, Op

DEQUANTIZES = ("relax.dequantize", "dero.dequantize_bias")
"""Calls that make real numbers of quantized ones."""


@dataclass(frozen=True)
class ConstantTensor:
    """Values, and for quantized ones ``real = (values - zero_point) * scale``."""

    values: np.ndarray
    scale: np.ndarray | None = None  # of the shape of `values`, as is zero_point
    zero_point: np.ndarray | None = None

    @staticmethod
    def quantized(
        values: np.ndarray, scale: np.ndarray, zero_point: np.ndarray, axis: int
    ) -> ConstantTensor:
        """A constant with a scale and zero point for all or for each index along `axis`."""

        def spread(parameter: np.ndarray) -> np.ndarray:
            if parameter.size > 1:
                shape = [1] * values.ndim
                shape[axis] = parameter.size
                parameter = parameter.reshape(shape)
            else:
                parameter = parameter.reshape(())
            return np.broadcast_to(parameter, values.shape)

        return ConstantTensor(values, spread(scale), spread(zero_point))

    @staticmethod
    def dequantized(call: Any, parts: Sequence[np.ndarray]) -> ConstantTensor:
        """What one of `DEQUANTIZES` makes of constants: values, scale and perhaps zero point."""
        values, scale, *zero_point = parts
        if not zero_point:  # of a bias
            return ConstantTensor(values, scale, np.zeros(values.shape, np.int32))
        return ConstantTensor.quantized(values, scale, zero_point[0], call.attrs.axis)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape

    @property
    def is_quantized(self) -> bool:
        return self.scale is not None

    def moved(self, move: Callable[[np.ndarray], np.ndarray]) -> ConstantTensor:
        """The constant after an operation that only moves elements."""
        if self.scale is None or self.zero_point is None:
            return ConstantTensor(np.asarray(move(self.values), order="C"))
        return ConstantTensor(
            np.asarray(move(self.values), order="C"), move(self.scale), move(self.zero_point)
        )

    def reshape(self, shape: Sequence[int]) -> ConstantTensor:
        return self.moved(lambda array: array.reshape(tuple(shape)))

    def transpose(self, axes: Sequence[int]) -> ConstantTensor:
        return self.moved(lambda array: array.transpose(tuple(axes)))

    def real(self) -> np.ndarray:
        """The values the constant stands for."""
        if self.scale is None or self.zero_point is None:
            return self.values
        centred = self.values.astype(np.int64) - self.zero_point.astype(np.int64)
        return (centred * self.scale).astype(np.float32)

    def along(self, parameter: np.ndarray, axis: int) -> np.ndarray | None:
        """`parameter` (a scale or zero point) as a vector along `axis`; None if it varies else.

        A scalar has one for its only element.
        """
        if parameter.ndim == 0:
            return parameter.reshape(1)
        lead = np.moveaxis(parameter, axis, 0).reshape(parameter.shape[axis], -1)
        if lead.size == 0 or (lead != lead[:, :1]).any():
            return None
        return np.ascontiguousarray(lead[:, 0])

    def expr(self) -> relax.Expr:
        """A Relax constant, or the `dequantize` of one."""
        if self.scale is None or self.zero_point is None:
            return exact_constant(self.values)
        if self.values.dtype == np.int64:
            scale = np.ascontiguousarray(self.scale, np.float32)
            parts = (exact_constant(self.values), relax.const(scale))
            return Call(Op.get("dero.dequantize_bias"), list(parts))
        axis = self._axis()
        if axis is None:
            return relax.const(self.real())
        parameters = []
        for parameter in (self.scale, self.zero_point):
            vector = self.along(parameter, axis)
            assert vector is not None  # what `_axis` checked
            uniform = vector.size == 1 or (vector == vector[0]).all()
            parameters.append(relax.const(vector[0] if uniform else vector))
        return relax.op.dequantize(relax.const(self.values), *parameters, axis=axis)

    def _axis(self) -> int | None:
        """The one axis along which scale and zero point vary (0 if none); None if several."""
        if self.scale is None or self.zero_point is None or self.values.ndim == 0:
            return 0
        for axis in range(self.values.ndim):
            if all(self.along(p, axis) is not None for p in (self.scale, self.zero_point)):
                return axis
        return None


def exact_constant(values: np.ndarray) -> relax.Expr:
    """A constant of the array's own type: `relax.const` alone narrows int64 and float64."""
    return relax.const(values, str(values.dtype))
