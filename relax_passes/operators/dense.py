"""Fully connected layer: every output is a weighted sum of one pixel."""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.script import tirx as T

from . import fixed_point, layer_sums, script
from .conv2d import check_layer_types
from .layer_sums import LayerSums
from .pixel_loop import PixelLoop
from .registry import OperatorClass, register
from .row_to_row import RowToRow
from .signature import Signature, TensorSpec


@register
class Dense(RowToRow):
    """Fully connected layer with bias and clamp, fixed-point requantized for int8 and int16.

    ``data`` is [..., K], ``weight`` is [N, K], ``bias`` has N elements; the result is [..., N].

    float32: ``out = clamp(data @ weight.T + bias, minimum, maximum)``.

    int8: ``out = clamp(requantize(sum((data - input_zero_point) * (weight - weight_zero_point))
    + bias) + output_zero_point, minimum, maximum)`` with an int32 accumulator and bias, and the
    factor of output n given by ``multiplier[n]``, ``shift[n]`` (see `quantized.dense_factors`).

    int16: the same with int8 weights; sums are of the bias' type, int32 or int64.
    """

    name = "dense"
    memory_class = OperatorClass.POINTWISE
    arguments = ("data", "weight", "bias", "multiplier", "shift")
    defaults = layer_sums.ATTRIBUTES

    def infer(self, inputs: tuple[TensorSpec, ...], attrs: dict[str, Any]) -> TensorSpec:
        """[..., N], of the data's type."""
        check_layer_types(self.name, inputs)
        data, weight, *vectors = inputs
        if not data.shape or len(weight.shape) != 2 or weight.shape[1] != data.channels:
            raise ValueError(
                f"dense: weights of shape {weight.shape} do not fit data of shape {data.shape}; "
                "they are [N, K] for data [..., K]"
            )
        units = weight.shape[0]
        for name, vector in zip(self.arguments[2:], vectors):
            if vector.shape != (units,):
                raise ValueError(
                    f"dense: {name} must be {units} elements, got shape {vector.shape}"
                )
        fixed_point.check_rounding("dense", attrs["rounding"])
        return TensorSpec((*data.shape[:-1], units), data.dtype)

    def in_place_arguments(self, signature: Signature) -> tuple[int, ...]:
        return ()  # every output of a pixel reads the whole pixel

    def macs(self, signature: Signature) -> int:
        return signature.output.elements * signature.inputs[0].channels

    def row_kernel(self, signature: Signature) -> tirx.PrimFunc:
        g, sums = PixelLoop(signature.inputs[0], signature.output), LayerSums(signature)
        units, depth = signature.inputs[1].shape

        @script.row_kernel(signature)
        def dense_row(row, X, data_rows, W, B, *factors, O):
            for p in range(g.pixels):
                for n in range(units):
                    acc = T.alloc_buffer((1,), sums.accumulator)
                    acc[0] = B[n]
                    for k in range(depth):
                        acc[0] += sums.term(X[g.data_index(row, data_rows, p, k)], W[n * depth + k])
                    O[g.out_index(p, n)] = sums.result(acc[0], factors, n)

        return dense_row
