"""The kernel and the tables of `softmax` on int16 tensors."""

from __future__ import annotations

import numpy as np
from tvm import tirx
from tvm.script import tirx as T

from . import fixed_point, script
from .int16_table import int16_table, interpolated
from .pixel_loop import PixelLoop
from .signature import Signature

MOST_INT16_CHANNELS = (1 << 16) - 1  # the sum of as many exponentials, in Q16.15, stays below 2^31


def softmax_tables() -> tuple[np.ndarray, np.ndarray]:
    """exp(x) of x in [-10, 0], and 1 / (1 + x) of x in [0, 1], in Q0.15."""
    unit = np.float32(2) / np.float32(65535)

    def exp(x: np.ndarray) -> np.ndarray:
        return np.exp(x.astype(np.float64)).astype(np.float32)

    def inverse(x: np.ndarray) -> np.ndarray:
        return np.float32(1) / (np.float32(1) + x)

    tenth, whole = (np.float32(length) / np.float32(65535) for length in (10, 1))
    return int16_table(exp, tenth, 32767, unit), int16_table(inverse, whole, -32768, unit)


def int16_row(signature: Signature) -> tirx.PrimFunc:
    """Exponentials stand in the row of the result until their sum is known."""
    g = PixelLoop(signature.inputs[0], signature.output)
    multiplier, shift = (tirx.const(signature[name], "int32") for name in ("multiplier", "shift"))

    @script.row_kernel(signature)
    def softmax_row(row, X, data_rows, E, R, O):
        largest = T.alloc_buffer((1,), "int32")
        total = T.alloc_buffer((1,), "int32")
        bits = T.alloc_buffer((1,), "int32")
        x = T.alloc_buffer((1,), "int32")
        for p in range(g.pixels):
            largest[0] = -32768
            for c in range(g.channels):
                largest[0] = T.max(
                    largest[0], T.cast(X[g.data_index(row, data_rows, p, c)], "int32")
                )
            total[0] = 0
            for c in range(g.channels):
                x[0] = T.cast(X[g.data_index(row, data_rows, p, c)], "int32") - largest[0]
                x[0] = fixed_point.multiply(x[0], multiplier, shift, "double") + 32767
                x[0] = T.max(x[0], -32768)
                x[0] = interpolated(x[0], E)
                total[0] = total[0] + x[0]
                O[g.out_index(p, c)] = T.cast(x[0], "int16")
            # The sum is 2**bits * (1 + x), x in [0, 1) as the table's input.
            bits[0] = 14
            for b in range(16):
                if (total[0] >> (15 + b)) != 0:
                    bits[0] = 15 + b
            x[0] = _scaled_sum(total[0], bits[0]) - (1 << 16) - (1 << 15)
            x[0] = T.min(x[0], 32767)
            x[0] = interpolated(x[0], R)
            for c in range(g.channels):
                O[g.out_index(p, c)] = T.cast(
                    T.min(
                        (T.cast(O[g.out_index(p, c)], "int32") * x[0] + (1 << (bits[0] - 1)))
                        >> bits[0],
                        32767,
                    ),
                    "int16",
                )

    return softmax_row


def _scaled_sum(total, bits):
    """``total * 2**(16 - bits)``, rounded: in [2**16, 2**17]."""
    left = T.cast(total, "int64") << T.cast(tirx.const(30, "int32") - bits, "int64")
    return T.cast((left + tirx.const(1 << 13, "int64")) >> tirx.const(14, "int64"), "int32")
