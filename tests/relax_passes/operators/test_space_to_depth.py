"""Blocks of pixels to channels: the kernel against NumPy, row by row."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relax_passes.operators import TensorSpec, operator_of
from tests.compiled.operator_checks import check_kernel, random_array
from tests.random_cases import cases


@given(
    st.integers(1, 2),
    st.tuples(*[st.integers(1, 4)] * 3),
    st.one_of(st.integers(1, 3), st.tuples(*[st.integers(1, 3)] * 2)),
    st.sampled_from(["DCR", "CRD"]),
    st.sampled_from(["float32", "int8"]),
    st.integers(0, 2),
)
@cases(25)
def test_rows(batch, image, block, order, dtype, gap) -> None:
    height, width, channels = image
    rows, columns = (block, block) if isinstance(block, int) else block
    shape = (batch, height * rows, width * columns, channels)
    array = random_array(np.random.default_rng(channels), shape, dtype)
    parts = array.reshape(batch, height, rows, width, columns, channels)
    moved = parts.transpose((0, 1, 3, 2, 4, 5) if order == "DCR" else (0, 1, 3, 5, 2, 4))
    expected = moved.reshape(batch, height, width, channels * rows * columns)
    kernel = check_kernel("space_to_depth", [array], expected, gaps=[gap], out_gap=gap,
                          in_place=(), block_size=block, order=order)  # fmt: skip
    for row in range(batch * height):
        needed = kernel.operator.needed_rows(kernel.signature, 0, row)
        assert needed == (row * rows, (row + 1) * rows)


@pytest.mark.parametrize(
    ("shape", "dtype", "attrs", "message"),
    [
        ((1, 2, 3, 6), "int8", {"block_size": 2}, "no whole number of blocks of 2 x 2"),
        ((1, 2, 2, 4), "int8", {"block_size": 2, "order": "RCD"}, "order must be one of"),
        ((2, 2, 4), "int8", {"block_size": 2}, "takes NHWC data"),
        ((1, 2, 2, 4), "int32", {"block_size": 2}, "float32, int8 or int16"),
    ],
)
def test_refusals(shape, dtype, attrs, message) -> None:
    operator = operator_of("dero.space_to_depth")
    with pytest.raises(ValueError, match=message):
        operator.infer((TensorSpec(shape, dtype),), {**operator.defaults, **attrs})
