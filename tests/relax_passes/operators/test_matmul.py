"""Products of computed matrices: row by row against NumPy and LiteRT."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relax_passes.operators import TensorSpec, operator_of, quantized
from tests.compiled.operator_checks import check_kernel, random_array
from tests.models.tflite_builder import TFLiteBuilder, run_litert_reference
from tests.random_cases import cases

sizes = st.integers(1, 5)
zero_points = st.integers(-128, 127)
OPERATOR = operator_of("dero.matmul")


@given(
    st.tuples(sizes, sizes, sizes, sizes, sizes),
    st.booleans(),
    st.tuples(st.booleans(), st.booleans(), st.booleans()),
    st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 2)),
    st.integers(0, 2**32 - 1),
)
@cases(25)
def test_heads_parts_and_gaps(lengths, transposed, apart, gaps, seed):
    outer, rows, heads, columns, depth = lengths
    rng = np.random.default_rng(seed)
    a = random_array(rng, (outer, rows, heads, depth), "float32")
    b = random_array(rng, (outer, columns, heads, depth), "float32")
    expected = np.einsum("orhk,ochk->orhc", a, b)
    if not transposed:
        b = np.ascontiguousarray(np.swapaxes(b, 1, 3))
    a, b, expected = (
        array if own else array.reshape(*array.shape[:2], -1)
        for array, own in zip((a, b, expected), apart)
    )
    check_kernel(
        "matmul",
        [a, b],
        expected.astype("float32"),
        gaps=gaps[:2],
        out_gap=gaps[2],
        rtol=1e-4,
        in_place=(),
        heads=heads,
        outer=outer,
        transposed=transposed,
        apart=apart,
    )


@pytest.mark.parametrize("transposed", [False, True])
def test_pixels_of_images(transposed):
    """Both operands may have their vectors in several axes."""
    rng = np.random.default_rng(3)
    a, b = random_array(rng, (1, 3, 4, 6), "float32"), random_array(rng, (1, 2, 3, 6), "float32")
    matrix = b.reshape(6, 6).T if transposed else b.reshape(6, 6)
    expected = (a.reshape(12, 6) @ matrix).reshape(1, 3, 4, 6)
    kernel = check_kernel("matmul", [a, b], expected, rtol=1e-4, transposed=transposed)
    assert OPERATOR.needed_rows(kernel.signature, 0, 2) == (2, 3)
    assert OPERATOR.needed_rows(kernel.signature, 1, 0) == (0, 2)
    assert OPERATOR.macs(kernel.signature) == 12 * 6 * 6


@given(
    st.tuples(st.integers(1, 3), sizes, sizes, st.integers(1, 40)),
    st.booleans(),
    st.tuples(zero_points, zero_points, zero_points),
    st.tuples(st.floats(-8, 0), st.floats(-8, 0), st.floats(-9, 3)),
    st.integers(0, 2**32 - 1),
)
@cases(25)
def test_int8_has_litert_bits(lengths, transposed, zeros, exponents, seed):
    batch, rows, columns, depth = lengths
    rng = np.random.default_rng(seed)
    a = random_array(rng, (batch, rows, depth), "int8")
    b = random_array(rng, (batch, *((columns, depth) if transposed else (depth, columns))), "int8")
    of_a, of_b, ratio = (float(np.float32(2.0**e)) for e in exponents)
    of_out = float(np.float32(of_a * of_b * depth**0.5 * 128 * ratio))
    builder = TFLiteBuilder()
    names = [
        builder.input(name, array.shape, "int8", scale=scale, zero_point=zero)
        for name, array, scale, zero in zip("ab", (a, b), (of_a, of_b), zeros)
    ]
    result = builder.tensor(
        "out", (batch, rows, columns), "int8", scale=of_out, zero_point=zeros[2]
    )
    builder.operator("BATCH_MATMUL", names, [result], adj_y=transposed)
    (expected,) = run_litert_reference(builder.build([result]), {"a": a, "b": b})
    multiplier, shift = (int(v[0]) for v in quantized.dense_factors(of_a, of_b, of_out, 1))
    check_kernel(
        "matmul",
        [a, b],
        expected,
        outer=batch,
        transposed=transposed,
        zero_points=zeros,
        multiplier=multiplier,
        shift=shift,
    )


@pytest.mark.parametrize(
    "shapes, attrs, reason",
    [
        ([(2, 3), (4, 5)], {}, "does not fit"),
        ([(2, 3), (3, 5)], {"transposed": True}, "does not fit"),
        ([(2, 3), (3, 5)], {"apart": (True, False, False)}, "four axes"),
        ([(1, 3, 4), (1, 2, 4)], {"outer": 2, "transposed": True}, "in 2 parts"),
    ],
)
def test_what_does_not_fit(shapes, attrs, reason):
    specs = tuple(TensorSpec(shape, "float32") for shape in shapes)
    with pytest.raises(ValueError, match=reason):
        OPERATOR.infer(specs, OPERATOR.defaults | attrs)
