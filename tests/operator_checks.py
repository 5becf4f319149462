"""What every row kernel must do, checked in one call, and random operands for it.

    check_kernel("add", [a, b], a + b, minimum=0.0)

runs the operator row by row and compares with `expected`, then checks the promises it makes to
memory planning: the rows it reads, what it may overwrite, and pixel strides.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from relax_passes.operators import TensorSpec
from tests.row_kernel_runner import RowKernel, assert_in_place, assert_reads_only_needed_rows


def check_kernel(
    name: str,
    arrays: Sequence[np.ndarray],
    expected: np.ndarray,
    *,
    gaps: Sequence[int] = (),
    out_gap: int = 0,
    rtol: float = 0.0,
    in_place: Sequence[int] | None = None,
    **attrs: Any,
) -> RowKernel:
    """Compare all rows with `expected`, and check reads, overwriting and strides.

    `gaps` are the elements between two pixels of each operand, `out_gap` those of the output.
    `in_place`, where given, is which operands must be declared as overwritable.  Values must be
    equal if `rtol` is 0.
    """
    gaps = tuple(gaps) + (0,) * (len(arrays) - len(gaps))
    specs = []
    for array, gap in zip(arrays, gaps):
        channels = array.shape[-1] if array.ndim else 1
        specs.append(TensorSpec(array.shape, str(array.dtype), channels + gap if gap else 0))
    out_channels = expected.shape[-1] if expected.ndim else 1
    kernel = RowKernel(
        name, specs, out_pixel_stride=out_channels + out_gap if out_gap else 0, **attrs
    )
    signature = kernel.signature
    for index, gap in enumerate(gaps):
        assert not gap or index in kernel.operator.strided_arguments(signature)
    assert not out_gap or kernel.operator.strided_output(signature)
    assert signature.output.shape == expected.shape
    assert signature.output.dtype == expected.dtype

    actual = kernel.run_rows(*arrays)
    if rtol:
        np.testing.assert_allclose(actual, expected, rtol=rtol, atol=rtol)
    else:
        np.testing.assert_array_equal(actual, expected)
    assert_reads_only_needed_rows(kernel, arrays)
    for argument in kernel.operator.row_arguments(signature):
        assert_ranges_inside(kernel, argument)
    overwritable = kernel.operator.in_place_arguments(signature)
    if in_place is not None:
        assert tuple(overwritable) == tuple(in_place)
    if overwritable:
        assert_in_place(kernel, arrays)
    return kernel


def assert_ranges_inside(kernel: RowKernel, argument: int) -> None:
    """Ranges of needed rows lie inside the operand, the empty ones too."""
    rows = kernel.signature.inputs[argument].rows
    for row in range(kernel.signature.output.rows):
        first, last = kernel.operator.needed_rows(kernel.signature, argument, row)
        assert 0 <= first <= last <= rows


def random_scales(rng: np.random.Generator, filters: int) -> tuple[float, np.ndarray, float]:
    """Scales of an int8 input, of its weights by filter, and of the output; float32 numbers.

    One in three has such that results vanish or saturate; LiteRT's sums still fit in int32.
    """
    if rng.random() < 2 / 3:
        of_input, of_output = rng.uniform(0.001, 0.2), np.exp(rng.uniform(-6, 1))
        of_weights = np.exp(rng.uniform(-8, 0, filters))
    else:
        of_input, of_output = np.exp(rng.uniform(-14, 4)), np.exp(rng.uniform(-10, 6))
        of_weights = np.exp(rng.uniform(-16, 2, filters))
        of_output = max(of_output, of_input * of_weights.max() / 2**9)
    return float(np.float32(of_input)), of_weights.astype("float32"), float(np.float32(of_output))


def random_array(rng: np.random.Generator, shape: Sequence[int], dtype: str) -> np.ndarray:
    """Normal float32 numbers, or int8 numbers of the full range."""
    if dtype == "float32":
        return rng.standard_normal(shape).astype("float32")
    return rng.integers(-128, 128, shape).astype("int8")
