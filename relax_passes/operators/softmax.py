"""Softmax along the last axis."""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.script import tirx as T

from . import script
from .fixed_point import ACTIVATIONS, round_shift
from .fixed_point import doubling_high_multiply as multiply
from .fixed_point_functions import EXP_MINUS_EIGHTH, LINE_OFFSET, LINE_SLOPE, ONE, POWERS, THIRD
from .int16_table import ENTRIES
from .pixel_loop import PixelLoop
from .registry import OperatorClass, register
from .row_to_row import RowToRow
from .signature import Signature, TensorSpec
from .softmax_int16 import int16_row

MOST_INT8_CHANNELS = 4095  # the sum of as many exponentials, in Q12.19, stays below 2^31


@register
class Softmax(RowToRow):
    """Softmax over the last axis: ``out = exp(data - max(data)) / sum(exp(data - max(data)))``.

    With `logarithm`, of float32: ``out = data - max(data) - log(sum(exp(data - max(data))))``.
    int8 follows LiteRT's fixed-point arithmetic bit by bit; its output has scale 1 / 256 and zero
    point -128, and its attributes come from `quantized.softmax_factors`.  It has at most
    `MOST_INT8_CHANNELS` channels.  With `output` int16, the result has scale 1 / 65536 and zero
    point -32768.

    int16, with zero points of 0 and a result of scale 1 / 32768, is LiteRT's too: exponentials and
    the inverse of their sum come from tables, `softmax_int16.softmax_tables`; its attributes are
    those of `quantized.softmax_int16_factors`.
    """

    name = "softmax"
    memory_class = OperatorClass.REDUCTION
    arguments = ("data", "exponentials", "inverses")
    defaults = {
        "multiplier": None,
        "shift": None,
        "diff_min": None,
        "output": None,
        "logarithm": False,
    }

    def infer(self, inputs: tuple[TensorSpec, ...], attrs: dict[str, Any]) -> TensorSpec:
        """The data's shape and type."""
        data, *tables = inputs
        if not data.shape:
            raise ValueError(f"softmax takes a tensor of at least one axis, got {inputs}")
        if data.dtype not in ("float32", *ACTIVATIONS):
            raise ValueError(f"softmax takes float32, int8 or int16, got {data.dtype}")
        wanted = [TensorSpec((ENTRIES,), "int16")] * 2 if data.dtype == "int16" else []
        if tables != wanted:
            raise ValueError(f"softmax of {data.dtype} takes {len(wanted)} tables, got {tables}")
        factors = [attrs[name] for name in ("multiplier", "shift", "diff_min")]
        if attrs["output"] not in (None, "int16") or attrs["output"] and data.dtype != "int8":
            raise ValueError(f"softmax of {data.dtype} does not give {attrs['output']}")
        if data.dtype == "int8" and None in factors:
            raise ValueError("softmax: int8 needs multiplier, shift and diff_min")
        if data.dtype == "int8" and attrs["logarithm"]:
            raise ValueError("softmax: its logarithm is of float32")
        if data.dtype == "int8" and data.channels > MOST_INT8_CHANNELS:
            raise ValueError(f"softmax: int8 takes at most {MOST_INT8_CHANNELS} channels")
        return TensorSpec(data.shape, attrs["output"] or data.dtype)

    def row_kernel(self, signature: Signature) -> tirx.PrimFunc:
        builders = {"int8": _int8_row, "int16": int16_row}
        return builders.get(signature.inputs[0].dtype, _float_row)(signature)


def _float_row(signature: Signature) -> tirx.PrimFunc:
    g = PixelLoop(signature.inputs[0], signature.output)
    logarithm = bool(signature["logarithm"])

    @script.row_kernel(signature)
    def softmax_row(row, X, data_rows, O):
        for p in range(g.pixels):
            largest = T.alloc_buffer((1,), "float32")
            total = T.alloc_buffer((1,), "float32")
            largest[0] = X[g.data_index(row, data_rows, p, 0)]
            for c in range(g.channels):
                largest[0] = T.max(largest[0], X[g.data_index(row, data_rows, p, c)])
            total[0] = T.float32(0)
            if logarithm:
                for c in range(g.channels):
                    total[0] = total[0] + T.exp(X[g.data_index(row, data_rows, p, c)] - largest[0])
                total[0] = T.log(total[0])
                for c in range(g.channels):
                    O[g.out_index(p, c)] = (
                        X[g.data_index(row, data_rows, p, c)] - largest[0] - total[0]
                    )
            else:
                for c in range(g.channels):
                    power: T.let[T.float32] = T.exp(
                        X[g.data_index(row, data_rows, p, c)] - largest[0]
                    )
                    O[g.out_index(p, c)] = power
                    total[0] = total[0] + power
                for c in range(g.channels):
                    O[g.out_index(p, c)] = O[g.out_index(p, c)] / total[0]

    return softmax_row


# Fixed point, in the notation Qm.n: m integer and n fractional bits besides the sign.
_SUM_INTEGER_BITS = 12  # the sum of exponentials is Q12.19
_QUARTER = 1 << 24  # 1/4 in Q5.26


def _int8_row(signature: Signature) -> tirx.PrimFunc:
    """The row kernel for int8.

    Two rounds over a pixel compute the same exponentials: the first adds them up, the second
    divides by their sum.  An exponential takes less time than the memory to keep it is worth.
    """
    g = PixelLoop(signature.inputs[0], signature.output)
    multiplier, left_shift = signature["multiplier"], signature["shift"]
    diff_min = signature["diff_min"]
    kind = signature.output.dtype
    zero, most = (-32768, 32767) if kind == "int16" else (-128, 127)
    finer = 8 if kind == "int16" else 0  # bits more of the result

    @script.row_kernel(signature)
    def softmax_row(row, X, data_rows, O):
        # Intermediate results are one-element buffers: TVM's simplifier writes the value of a
        # name out at every use, and here each is built on the one before.
        largest = T.alloc_buffer((1,), "int32")
        total = T.alloc_buffer((1,), "int32")
        exponent = T.alloc_buffer((1,), "int32")
        half = T.alloc_buffer((1,), "int32")
        reciprocal = T.alloc_buffer((1,), "int32")
        scaled = T.alloc_buffer((1,), "int32")
        part = T.alloc_buffer((1,), "int32")
        x = T.alloc_buffer((1,), "int32")
        square = T.alloc_buffer((1,), "int32")
        power = T.alloc_buffer((1,), "int32")
        for p in range(g.pixels):
            largest[0] = -128
            for c in range(g.channels):
                largest[0] = T.max(
                    largest[0], T.cast(X[g.data_index(row, data_rows, p, c)], "int32")
                )
            total[0] = 0
            exponent[0] = 0  # both are set in the second round, which no C compiler can see
            reciprocal[0] = 0
            for division in range(2):
                if division == 1:
                    # The sum is at least exp(0), 2**19.  Doubled until it lies in [2**30, 2**31),
                    # it stands for 1 + x with x in [0, 1), and Newton's method for the inverse
                    # of half = (1 + x) / 2 starts from the line 48/17 - 32/17 * half.
                    exponent[0] = _SUM_INTEGER_BITS + 22 - finer
                    for _ in range(_SUM_INTEGER_BITS - 1):
                        if total[0] < (1 << 30):
                            total[0] = total[0] * 2
                            exponent[0] = exponent[0] - 1
                    half[0] = total[0]
                    reciprocal[0] = _times(half[0], LINE_SLOPE) + LINE_OFFSET
                    for _ in range(3):
                        x[0] = (1 << 29) - multiply(half[0], reciprocal[0])
                        reciprocal[0] = reciprocal[0] + multiply(reciprocal[0], x[0]) * 4
                    reciprocal[0] = _doubled(reciprocal[0])
                for c in range(g.channels):
                    difference: T.let[T.int32] = (
                        T.cast(X[g.data_index(row, data_rows, p, c)], "int32") - largest[0]
                    )
                    if difference >= diff_min:
                        # exp of a number in Q5.26: a part in [-1/4, 0), by Taylor's series around
                        # -1/8, times powers of exp(-1/4) for the rest.
                        scaled[0] = _times(difference * (1 << left_shift), multiplier)
                        part[0] = (scaled[0] & (_QUARTER - 1)) - _QUARTER
                        x[0] = part[0] * 32 + (1 << 28)
                        square[0] = multiply(x[0], x[0])
                        power[0] = multiply(square[0], square[0])
                        power[0] = round_shift(power[0], 2) + multiply(square[0], x[0])
                        power[0] = _times(power[0], THIRD) + square[0]
                        power[0] = round_shift(power[0], 1) + x[0]
                        power[0] = _times(power[0], EXP_MINUS_EIGHTH) + EXP_MINUS_EIGHTH
                        part[0] = part[0] - scaled[0]
                        power[0] = _times_power(power[0], part[0], 0)
                        power[0] = _times_power(power[0], part[0], 1)
                        power[0] = _times_power(power[0], part[0], 2)
                        power[0] = _times_power(power[0], part[0], 3)
                        power[0] = _times_power(power[0], part[0], 4)
                        power[0] = _times_power(power[0], part[0], 5)
                        power[0] = _times_power(power[0], part[0], 6)
                        if difference == 0:
                            power[0] = ONE
                        if division == 0:
                            total[0] = total[0] + round_shift(power[0], _SUM_INTEGER_BITS)
                        else:
                            power[0] = multiply(reciprocal[0], power[0])
                            power[0] = _rounded(power[0], exponent[0]) + zero
                            O[g.out_index(p, c)] = T.cast(T.min(power[0], most), kind)
                    else:
                        if division == 1:
                            O[g.out_index(p, c)] = T.cast(zero, kind)

    return softmax_row


def _times(value, constant: int):
    return multiply(value, tirx.const(constant, "int32"))


def _times_power(value, rest, k: int):
    """`value` times exp(-2**(k - 2)) if that power is part of `rest`, a number in Q5.26."""
    return T.Select((rest & (_QUARTER << k)) != 0, _times(value, POWERS[k]), value)


def _doubled(value):
    """Twice `value`, a number in Q1.30, as Q0.31, where 1 is not quite in reach."""
    return T.Select(value >= (1 << 30), tirx.const(ONE, "int32"), value * 2)


def _rounded(value, exponent):
    """``round(value / 2**exponent)`` of `value` >= 0 in int32, for any exponent from 0 on."""
    shifted = round_shift(value, T.min(exponent, 30))
    return T.Select(
        exponent > 30,
        T.Select(exponent == 31, value >> 30, tirx.const(0, "int32")),
        shifted,
    )
