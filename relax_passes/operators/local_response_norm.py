"""Normalization of each element by the squares of its neighbours among the channels."""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.script import tirx as T

from . import script
from .operand_checks import single_operand
from .pixel_loop import PixelLoop
from .registry import REQUIRED, OperatorClass, register
from .row_to_row import RowToRow
from .signature import Signature, TensorSpec


@register
class LocalResponseNorm(RowToRow):
    """``out = data / (bias + factor * sum(data ** 2)) ** exponent``, float32.

    The sum is over the channels from `before` in front of an element to `after` behind it, as far
    as there are any.
    """

    name = "local_response_norm"
    memory_class = OperatorClass.REDUCTION
    defaults = {
        "before": REQUIRED,
        "after": REQUIRED,
        "bias": 1.0,
        "factor": REQUIRED,
        "exponent": 0.75,
    }

    def infer(self, inputs: tuple[TensorSpec, ...], attrs: dict[str, Any]) -> TensorSpec:
        """The data's shape."""
        data = single_operand(self.name, inputs, ("float32",))
        if min(attrs["before"], attrs["after"]) < 0:
            raise ValueError(
                f"{self.name}: before and after must not be negative, got {attrs['before']} and "
                f"{attrs['after']}"
            )
        return TensorSpec(data.shape, data.dtype)

    def in_place_arguments(self, signature: Signature) -> tuple[int, ...]:
        return ()  # an element is read again for its neighbours

    def row_kernel(self, signature: Signature) -> tirx.PrimFunc:
        g = PixelLoop(signature.inputs[0], signature.output)
        before, after = signature["before"], signature["after"]
        bias, factor, exponent = (
            tirx.const(float(signature[name]), "float32") for name in ("bias", "factor", "exponent")
        )

        @script.row_kernel(signature)
        def local_response_norm_row(row, X, data_rows, O):
            for p in range(g.pixels):
                total = T.alloc_buffer((1,), "float32")
                first = T.alloc_buffer((1,), "int32")
                last = T.alloc_buffer((1,), "int32")
                element = T.alloc_buffer((1,), "float32")
                for c in range(g.channels):
                    total[0] = T.float32(0)
                    first[0] = T.max(c - before, 0)
                    last[0] = T.min(c + after, g.channels - 1)
                    for n in range(last[0] - first[0] + 1):
                        element[0] = X[g.data_index(row, data_rows, p, first[0] + n)]
                        total[0] = total[0] + element[0] * element[0]
                    O[g.out_index(p, c)] = X[g.data_index(row, data_rows, p, c)] / T.pow(
                        bias + factor * total[0], exponent
                    )

        return local_response_norm_row
