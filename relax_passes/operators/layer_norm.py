"""Normalization of each pixel over its channels."""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.script import tirx as T

from . import normalized_type as types
from . import script
from .normalized_type import f32
from .pixel_loop import PixelLoop
from .registry import REQUIRED, OperatorClass, register
from .row_to_row import RowToRow
from .signature import Signature, TensorSpec


@register
class LayerNorm(RowToRow):
    """Every pixel of ``data`` less its mean, divided by its deviation, times weight, plus bias.

    ``out = (data - mean) / sqrt(variance + epsilon) * weight + bias``, mean and variance over the
    last axis; without `centered` it is the root mean square's normalization, ``data /
    sqrt(mean(data ** 2) + epsilon) * weight + bias``.  ``weight`` and ``bias`` have a float32
    number a channel.  The arithmetic is float32: int8 data stands for ``(data - input_zero_point)
    * input_scale``, and an int8 result is rounded once, as `quantize` does.
    """

    name = "layer_norm"
    memory_class = OperatorClass.REDUCTION
    arguments = ("data", "weight", "bias")
    defaults = {"epsilon": REQUIRED, "centered": True, **types.INPUT, **types.OUTPUT}

    def infer(self, inputs: tuple[TensorSpec, ...], attrs: dict[str, Any]) -> TensorSpec:
        """The data's shape."""
        if len(inputs) != 3 or not inputs[0].shape:
            raise ValueError(f"layer_norm takes data, weight and bias, got {inputs}")
        data, *vectors = inputs
        types.check_types("layer_norm", data, attrs)
        check_vectors("layer_norm", data, vectors)
        return TensorSpec(data.shape, types.output_type(attrs))

    def row_kernel(self, signature: Signature) -> tirx.PrimFunc:
        spec, spec_out = signature.inputs[0], signature.output
        g = PixelLoop(spec, spec_out)
        share = f32(1 / spec.channels)
        epsilon = f32(signature["epsilon"])
        centered = signature["centered"]

        @script.row_kernel(signature)
        def layer_norm_row(row, X, data_rows, W, B, O):
            for p in range(g.pixels):
                mean = T.alloc_buffer((1,), "float32")
                scale = T.alloc_buffer((1,), "float32")
                difference = T.alloc_buffer((1,), "float32")
                mean[0] = T.float32(0)
                if centered:
                    for c in range(g.channels):
                        mean[0] += types.real(signature, X[g.data_index(row, data_rows, p, c)])
                    mean[0] = mean[0] * share
                scale[0] = T.float32(0)
                for c in range(g.channels):
                    difference[0] = (
                        types.real(signature, X[g.data_index(row, data_rows, p, c)]) - mean[0]
                    )
                    scale[0] += difference[0] * difference[0]
                scale[0] = T.float32(1) / T.sqrt(scale[0] * share + epsilon)
                for c in range(g.channels):
                    difference[0] = (
                        types.real(signature, X[g.data_index(row, data_rows, p, c)]) - mean[0]
                    )
                    O[g.out_index(p, c)] = types.written(
                        signature, difference[0] * scale[0] * W[c] + B[c]
                    )

        return layer_norm_row


def check_vectors(name: str, data: TensorSpec, vectors: list[TensorSpec]) -> None:
    """Raises ``ValueError`` for vectors that are not one float32 number a channel."""
    for vector in vectors:
        if vector.shape != (data.channels,) or vector.dtype != "float32":
            raise ValueError(
                f"{name}: weight and bias are {data.channels} float32 numbers, got "
                f"{vector.dtype} of shape {vector.shape}"
            )
