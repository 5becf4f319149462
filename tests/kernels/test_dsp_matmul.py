"""The kernel for products of computed matrices: the bits of the portable one, on random shapes."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from relax_passes.operators import TensorSpec
from tests.compiled.native_kernel_runner import NativeKernel
from tests.compiled.row_kernel_runner import RowKernel
from tests.random_cases import cases

sizes = st.integers(1, 4)
zero_points = st.sampled_from([-128, -3, 0, 83, 127])
limits = st.sampled_from([(None, None), (-128, 100), (-5, 127)])


@given(
    st.tuples(sizes, sizes, sizes, st.integers(1, 9), st.integers(1, 9)),
    st.booleans(),
    st.tuples(st.booleans(), st.booleans(), st.booleans()),
    st.tuples(*[st.sampled_from([0, 3])] * 3),
    st.tuples(zero_points, zero_points, zero_points),
    st.one_of(st.integers(2**30, 2**31 - 1), st.just(2**30)),
    st.integers(-12, 4),
    st.sampled_from(["double", "single", "even"]),
    limits,
    st.integers(0, 3),
    st.integers(0, 2**32 - 1),
)
@cases(15)
def test_matmul(
    lengths, transposed, apart, gaps, zeros, multiplier, shift, rounding, bounds, ring, seed
):
    outer, rows, heads, columns, depth = lengths
    rng = np.random.default_rng(seed)
    of_b = (columns, heads, depth) if transposed else (depth, heads, columns)
    shapes = [(outer, rows, heads, depth), (outer, *of_b)]
    arrays = [rng.integers(-128, 128, shape).astype("int8") for shape in shapes]
    arrays = [a if own else a.reshape(*a.shape[:2], -1) for a, own in zip(arrays, apart)]
    specs = [
        TensorSpec(array.shape, "int8", array.shape[-1] + gap) for array, gap in zip(arrays, gaps)
    ]
    attrs = {
        "heads": heads,
        "outer": outer,
        "transposed": transposed,
        "apart": apart,
        "zero_points": zeros,
        "multiplier": multiplier,
        "shift": shift,
        "rounding": rounding,
        "minimum": bounds[0],
        "maximum": bounds[1],
    }
    expected = RowKernel("matmul", specs, **attrs).run_rows(*arrays)
    stride = expected.shape[-1] + gaps[2]
    native = NativeKernel("matmul", specs, {}, features={"dsp"}, out_pixel_stride=stride, **attrs)
    assert native.kernel is not None
    np.testing.assert_array_equal(native.run_rows(*arrays, ring=ring), expected)


def test_what_is_left_to_the_portable_kernel():
    """Right operands with several pixels in a row."""
    specs = [TensorSpec((1, 2, 3, 4), "int8"), TensorSpec((1, 2, 3, 4), "int8")]
    attrs = {"transposed": True, "multiplier": 2**30, "shift": -4}
    assert NativeKernel("matmul", specs, {}, features={"dsp"}, **attrs).kernel is None
