"""Biases of integer layers that are wider than Relax dequantizes."""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.script import tirx as T

from . import script
from .registry import Operator, OperatorClass, register
from .signature import Signature, TensorSpec


@register
class DequantizeBias(Operator):
    """``bias * scale``: int64 numbers with a float32 scale each.

    It is how a network says the bias of a layer with int64 sums before the layer is one on
    integers.
    """

    name = "dequantize_bias"
    memory_class = OperatorClass.OPAQUE
    arguments = ("bias", "scale")
    read_by_rows = ()

    def infer(self, inputs: tuple[TensorSpec, ...], attrs: dict[str, Any]) -> TensorSpec:
        if [spec.dtype for spec in inputs] != ["int64", "float32"]:
            raise ValueError(f"{self.name} takes int64 numbers and float32 scales, got {inputs}")
        bias, scale = inputs
        if scale.shape != bias.shape:
            raise ValueError(f"{self.name}: {scale.shape} scales do not fit {bias.shape} numbers")
        return TensorSpec(bias.shape, "float32")

    def row_kernel(self, signature: Signature) -> tirx.PrimFunc:
        size = signature.output.row_stride

        @script.row_kernel(signature)
        def dequantize_bias_row(row, B, S, O):
            for e in range(size):
                O[e] = T.cast(B[row * size + e], "float32") * S[row * size + e]

        return dequantize_bias_row
