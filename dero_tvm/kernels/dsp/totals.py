"""Means, sums and averages over the height and the width of an image, or over its width alone."""

from __future__ import annotations

import numpy as np

from dero_tvm.schedule.row_offsets import RowOffsets
from relax_passes.operators import Signature, TensorSpec, implementation
from relax_passes.operators.fixed_point import INT8_MAX, INT8_MIN, int8_limits
from relax_passes.operators.quantized import divide_factor
from relax_passes.operators.sum_range import SumRange

from ..c_kernel import SUPPORT, CKernel, Request
from ..kernel_table import register_kernel
from .factors import ROUNDINGS, pack_factors, rounding_support

_RESULTS = "const struct totals *results = (const struct totals *)totals;\n"
_WHOLE = "dsp_totals(results, data, 1, 1, 0, out);\n"
_ROW_BYTES = "(results->pixels * results->pixel)"
_RUNNING = "dsp_totals(results, data, row == 0, row == results->calls - 1, state, out);\n"
_NO_FACTOR = (0, 0, 0, 0, 0, 0)
_FEWEST_TERMS = 8  # of a reduction; below, the portable kernel takes no more instructions
_MOST_TERMS = 1 << 23  # their sum, with any zero point, stays below 2^31


@register_kernel("reduce", features={"dsp"})
def reduce(request: Request) -> CKernel | None:
    """Means and sums, one image or one row of it at a time."""
    s = request.signature
    if s.inputs[0].dtype != "int8" or s["kind"] not in ("mean", "sum"):
        return None
    if s.inputs[0].elements < _FEWEST_TERMS * s.output.elements:
        return None
    return _totals(request, (s["multiplier"], s["shift"]))


def global_pool(request: Request) -> CKernel | None:
    """Averages and sums of whole images, of any size; None for other windows."""
    s = request.signature
    data, average = s.inputs[0], s["kind"] == "average"
    if data.dtype != "int8" or s["kind"] == "max" or data.shape[0] > 1:
        return None
    if tuple(s["pool_size"]) != data.shape[1:3] or any(s["padding"]):
        return None
    if s["multiplier"] is not None:
        terms = data.rows * data.pixels if average else 1
        return _totals(request, divide_factor(s["multiplier"], s["shift"], terms))
    if not average or s["rounding"] != "double" or s["input_zero_point"] != 0:
        return None
    return _totals(request, None)


def _totals(request: Request, factor: tuple[int, int] | None) -> CKernel | None:
    """Without a factor, sums are divided by the number of their terms."""
    s = request.signature
    data, out = s.inputs[0], s.output
    rows = _rows_together(s)
    terms = rows * data.pixels
    if out.pixels != 1 or out.channels != data.channels or not 0 < terms < _MOST_TERMS:
        return None
    calls = 1 if request.state is None else data.rows
    divisor, factors = (terms, _NO_FACTOR) if factor is None else (0, _factors(s, *factor, terms))
    values = (
        *(calls, terms // calls, data.channels, data.pixel_stride),
        *(divisor, *factors[:2], *int8_limits(s), *factors[2:]),
    )
    if request.state is not None:
        name, call = "dsp_absorb", _RUNNING
    else:
        name, call = "dsp_totals", _WHOLE

    def text(offsets: RowOffsets) -> str:
        return f"{_RESULTS}data += {offsets.at('data', 'row', _ROW_BYTES)};\n{call}"

    whole = request.state is None and rows == data.rows  # one row behind the other
    return CKernel(
        name,
        _RESULTS + call if whole else text,
        {"totals": np.array(values, np.int32)},
        support=(*rounding_support(factors[0]), SUPPORT / "dsp_totals.h"),
    )


def _factors(s: Signature, multiplier: int, shift: int, terms: int) -> tuple[int, ...]:
    """Rounding, ties, and the four numbers of a ``struct requantization``."""
    bias = -s["input_zero_point"] * terms
    low, high = INT8_MIN * terms, INT8_MAX * terms
    if s["rounding"] != "even" and shift == 0 and max(abs(low + bias), abs(high + bias)) < 1 << 30:
        return ROUNDINGS.index("twice"), 0, bias, multiplier, s["output_zero_point"], 0
    constants = {
        "bias": np.array([bias]),
        "multiplier": np.array([multiplier]),
        "shift": np.array([shift]),
    }
    factors = pack_factors(constants, s, SumRange(np.array([low]), np.array([high])))
    return factors.rounding, -1, *map(int, factors.records[0])


def _rows_together(s: Signature) -> int:
    """How many rows of the image an output row takes: all of them, one, or 0 for another number.

    A reduction's last axis must stay.
    """
    operator = implementation(s)
    data: TensorSpec = s.inputs[0]
    if len(data.shape) == 1 or (s.operator == "dero.reduce" and _reduces_channels(s)):
        return 0
    needed = [operator.needed_rows(s, 0, row) for row in range(s.output.rows)]
    if needed == [(0, data.rows)]:
        return data.rows
    return int(needed == [(row, row + 1) for row in range(data.rows)])


def _reduces_channels(s: Signature) -> bool:
    axes = s["axes"] if isinstance(s["axes"], (tuple, list)) else (s["axes"],)
    return any(axis % len(s.inputs[0].shape) == len(s.inputs[0].shape) - 1 for axis in axes)
