"""Averages of windows that cover an image as evenly as whole pixels allow."""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.script import tirx as T

from . import indexing, script
from .fixed_point import clamp
from .operand_checks import single_operand
from .registry import REQUIRED, Operator, OperatorClass, register
from .signature import Signature, TensorSpec


@register
class AdaptivePool2D(Operator):
    """Average pooling of NHWC `data`, float32, to `size` (height, width).

    Window ``i`` of ``n`` along an axis of ``length`` pixels goes from ``floor(i * length / n)`` to
    ``ceil((i + 1) * length / n)``, so that windows have two lengths, and may overlap.
    """

    name = "adaptive_pool2d"
    memory_class = OperatorClass.POOLING
    arguments = ("data",)
    defaults = {"size": REQUIRED, "minimum": None, "maximum": None}

    def infer(self, inputs: tuple[TensorSpec, ...], attrs: dict[str, Any]) -> TensorSpec:
        """[N, height, width, C]."""
        data = single_operand(self.name, inputs, ("float32",), image=True)
        if len(attrs["size"]) != 2 or min(attrs["size"]) < 1:
            raise ValueError(
                f"adaptive_pool2d: size must be a height and a width, got {attrs['size']}"
            )
        batch, _, _, channels = data.shape
        return TensorSpec((batch, *attrs["size"], channels), "float32")

    def needed_rows(self, signature: Signature, argument: int, row: int) -> tuple[int, int]:
        height = signature.inputs[0].shape[1]
        batch, y = divmod(row, signature["size"][0])
        first, end = (batch * height + edge for edge in window(y, height, signature["size"][0]))
        return first, end

    def needed_columns(
        self, signature: Signature, argument: int, column: int
    ) -> tuple[int, int] | None:
        return window(column, signature.inputs[0].shape[2], signature["size"][1])

    def row_kernel(self, signature: Signature) -> tirx.PrimFunc:
        spec, spec_out = signature.inputs[0], signature.output
        _, height, width, channels = spec.shape
        low, high = signature["minimum"], signature["maximum"]

        def batch_and_row(row: Any) -> tuple[Any, Any]:
            batch, y = indexing.leading_indices(spec_out, row)
            return batch, y

        @script.row_kernel(signature)
        def adaptive_pool2d_row(row, X, data_rows, O):
            top = T.alloc_buffer((1,), "int32")
            rows = T.alloc_buffer((1,), "int32")
            left = T.alloc_buffer((1,), "int32")
            columns = T.alloc_buffer((1,), "int32")
            total = T.alloc_buffer((1,), "float32")
            top[0] = window(batch_and_row(row)[1], height, spec_out.shape[1])[0]
            rows[0] = window(batch_and_row(row)[1], height, spec_out.shape[1])[1] - top[0]
            for x in range(spec_out.shape[2]):
                left[0] = window(x, width, spec_out.shape[2])[0]
                columns[0] = window(x, width, spec_out.shape[2])[1] - left[0]
                for c in range(channels):
                    total[0] = tirx.const(0.0, "float32")
                    for i in range(rows[0]):
                        for j in range(columns[0]):
                            total[0] = (
                                total[0]
                                + X[
                                    indexing.element_offset(
                                        spec,
                                        [batch_and_row(row)[0], top[0] + i, left[0] + j, c],
                                        data_rows,
                                    )
                                ]
                            )
                    O[indexing.offset_in_row(spec_out, (x, c))] = clamp(
                        total[0] / T.cast(rows[0] * columns[0], "float32"), low, high, "float32"
                    )

        return adaptive_pool2d_row


def window(position: Any, length: int, count: int) -> tuple[Any, Any]:
    """Where window `position` of `count` begins, and ends: integers, or expressions."""
    return position * length // count, ((position + 1) * length + count - 1) // count
