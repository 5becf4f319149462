"""Indices of the largest and smallest elements against NumPy, with equal ones among them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relax_passes.operators import TensorSpec
from tests.compiled.operator_checks import check_kernel
from tests.compiled.row_kernel_runner import RowKernel
from tests.random_cases import cases

shapes = st.lists(st.integers(1, 5), min_size=1, max_size=5).map(tuple)


@given(
    shapes,
    st.sampled_from(["max", "min"]),
    st.sampled_from(["float32", "int8"]),
    st.sampled_from(["int32", "int64"]),
    st.booleans(),
    st.tuples(st.integers(0, 2), st.integers(0, 2)),
    st.integers(0, 2**32 - 1),
)
@cases(30)
def test_first_of_equals(shape, kind, dtype, index_type, keepdims, gaps, seed):
    data = np.random.default_rng(seed).integers(-3, 4, shape).astype(dtype)
    function = np.argmax if kind == "max" else np.argmin
    expected = np.asarray(function(data, axis=-1, keepdims=keepdims)).astype(index_type)
    check_kernel(
        "arg_extreme",
        [data],
        expected,
        gaps=gaps[:1],
        out_gap=gaps[1] if keepdims else 0,
        kind=kind,
        keepdims=keepdims,
        index_type=index_type,
    )


@pytest.mark.parametrize(
    ("dtype", "attrs", "message"),
    [
        ("int32", {"kind": "max"}, "takes one tensor of float32 or int8, got .* int32"),
        ("int8", {"kind": "mean"}, "kind must be one of .*, got 'mean'"),
        (
            "int8",
            {"kind": "max", "index_type": "int16"},
            "index_type must be one of .*int16",
        ),
    ],
)
def test_refusals(dtype, attrs, message):
    with pytest.raises(ValueError, match=message):
        RowKernel("arg_extreme", [TensorSpec((2, 3), dtype)], **attrs)
