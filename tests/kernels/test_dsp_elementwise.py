"""Kernels for DSP cores without weights: the bits of the portable kernels, on random shapes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relax_passes.operators import TensorSpec
from relax_passes.operators.quantized import mean_factors, softmax_factors
from tests.compiled.native_kernel_runner import NativeKernel
from tests.compiled.row_kernel_runner import RowKernel
from tests.models.tflite_builder import TFLiteBuilder, run_litert_reference
from tests.random_cases import cases

DSP = {"dsp"}
seeds = st.integers(0, 2**32 - 1)
roundings = st.sampled_from(["double", "single"])
total_roundings = st.sampled_from(["double", "single", "even"])
zero_points = st.sampled_from([-128, -3, 0, 83, 127])
limits = st.sampled_from([(None, None), (-128, 127), (-128, 100), (-5, 127), (-20, 30)])
multipliers = st.integers(2**30, 2**31 - 1)
factors = st.one_of(multipliers, st.just(2**30))  # a power of two makes ties
gaps = st.sampled_from([0, 0, 3])


def random_bytes(seed: int, *shape: int) -> np.ndarray:
    """All over int8, or at its ends, where sums are greatest."""
    rng = np.random.default_rng(seed)
    if seed % 3 == 0:
        return np.full(shape, rng.choice([-128, 127]), np.int8)
    return rng.integers(-128, 128, shape).astype(np.int8)


images = st.one_of(
    st.tuples(st.just(1), st.integers(2, 5), st.integers(4, 6), st.integers(1, 9)),
    st.tuples(st.just(1), st.just(20), st.integers(25, 28), st.sampled_from([4, 6])),
)


def check_totals(name, data, ring, **attrs):
    """Both forms of the kernel, that over all rows and that which takes one row a call."""
    spec = TensorSpec(data.shape, "int8", data.shape[-1] + 4 * (ring % 2))
    expected = RowKernel(name, [spec], **attrs).run_rows(data)
    native = NativeKernel(name, [spec], {}, features=DSP, **attrs)
    assert native.kernel is not None and native.kernel.name == "dsp_totals"
    np.testing.assert_array_equal(native.run_rows(data, ring=ring), expected)
    running = NativeKernel(name, [spec], {}, features=DSP, running_reduction=True, **attrs)
    assert running.kernel is not None and running.kernel.name == "dsp_absorb"
    np.testing.assert_array_equal(running.reduce_rows(data, ring=ring), expected)


@pytest.mark.parametrize("height, kept", [(16, "int16"), (17, "int32")])
def test_partial_sums_have_the_smallest_type_that_holds_them(height, kept):
    spec = TensorSpec((1, height, 16, 5), "int8")
    multiplier, shift = mean_factors(1.0, 1.0, height * 16)
    attrs = {"kind": "mean", "axes": (1, 2), "multiplier": multiplier, "shift": shift}
    portable = RowKernel("reduce", [spec], **attrs)
    native = NativeKernel("reduce", [spec], {}, features=DSP, running_reduction=True, **attrs)
    assert portable.state is not None and portable.state.dtype == kept
    for number in (-128, 127):
        data = np.full(spec.shape, number, np.int8)
        assert (portable.run_rows(data) == number).all()
        assert (native.reduce_rows(data) == number).all()


@given(
    images,
    st.sampled_from(["mean", "sum"]),
    st.booleans(),
    factors,
    st.integers(-31, 9),
    st.tuples(zero_points, zero_points),
    limits,
    total_roundings,
    st.integers(0, 2),
    seeds,
)
@cases(8)
def test_reductions(shape, kind, keepdims, factor, shift, zeros, bounds, rounding, ring, seed):
    check_totals(
        "reduce",
        random_bytes(seed, *shape),
        ring,
        kind=kind,
        axes=(1, 2),
        keepdims=keepdims,
        minimum=bounds[0],
        maximum=bounds[1],
        input_zero_point=zeros[0],
        output_zero_point=zeros[1],
        multiplier=factor,
        shift=shift,
        rounding=rounding,
    )


@given(
    images,
    st.sampled_from([("average", False), ("average", True), ("sum", True)]),
    factors,
    st.integers(-31, 9),
    st.tuples(zero_points, zero_points),
    limits,
    total_roundings,
    st.integers(0, 2),
    seeds,
)
@cases(6)
def test_global_pools(shape, kind, factor, shift, zeros, bounds, rounding, ring, seed):
    attrs = {"kind": kind[0], "pool_size": shape[1:3], "minimum": bounds[0], "maximum": bounds[1]}
    if kind[1]:
        attrs |= {"input_zero_point": zeros[0], "output_zero_point": zeros[1]}
        attrs |= {"multiplier": factor, "shift": shift, "rounding": rounding}
    check_totals("pool2d", random_bytes(seed, *shape), ring, **attrs)


@pytest.mark.parametrize(
    ("shape", "axes"), [((1, 4, 9, 6), (2,)), ((2, 8, 7), (1,)), ((1, 9, 8), (1,)), ((8, 4), (0,))]
)
def test_one_axis(shape, axes):
    spec, data = TensorSpec(shape, "int8"), random_bytes(1, *shape)
    attrs = {"kind": "mean", "axes": axes, "multiplier": 2**30 + 12345, "shift": -1}
    expected = RowKernel("reduce", [spec], **attrs).run_rows(data)
    native = NativeKernel("reduce", [spec], {}, features=DSP, **attrs)
    if shape[0] == 2:  # a batch of images
        assert native.kernel is None
        return
    np.testing.assert_array_equal(native.run_rows(data, ring=1), expected)


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((2, 8, 8, 4), (1,)),
        ((1, 8, 4, 4), (1,)),
        ((1, 4, 4, 4), (2, 3)),
        ((9,), (0,)),
        ((1, 3, 8), (1,)),
    ],
)
def test_other_axes_and_few_terms_are_left_to_the_portable_kernel(shape, axes):
    attrs = {"kind": "mean", "axes": axes, "multiplier": 2**30, "shift": -1}
    assert (
        NativeKernel("reduce", [TensorSpec(shape, "int8")], {}, features=DSP, **attrs).kernel
        is None
    )


@given(
    st.tuples(st.just(1), st.integers(1, 3), st.integers(1, 4), st.integers(1, 9)),
    st.sampled_from(["same", "left", "right", "right of lower rank"]),
    st.tuples(gaps, gaps, gaps),
    st.tuples(*[zero_points] * 3),
    multipliers,
    st.integers(-12, 0),
    limits,
    roundings,
    seeds,
)
@cases(8)
def test_products(shape, operands, strides, zeros, factor, shift, bounds, rounding, seed):
    channels = shape[-1]
    shapes = [shape, shape]
    if operands != "same":
        narrow = (channels,) if "lower" in operands else (1, 1, 1, channels)
        shapes[operands != "left"] = narrow
    specs = [TensorSpec(s, "int8", channels + gap) for s, gap in zip(shapes, strides)]
    attrs = {
        "zero_points": zeros,
        "multiplier": factor,
        "shift": shift,
        "minimum": bounds[0],
        "maximum": bounds[1],
        "rounding": rounding,
        "out_pixel_stride": channels + strides[2],
    }
    arrays = [random_bytes(seed + i, *s) for i, s in enumerate(shapes)]
    native = NativeKernel("multiply", specs, {}, features=DSP, **attrs)
    assert native.kernel is not None
    expected = RowKernel("multiply", specs, **attrs).run_rows(*arrays)
    np.testing.assert_array_equal(native.run_rows(*arrays, ring=1), expected)


@given(
    st.tuples(st.just(1), st.integers(1, 3), st.integers(1, 4), st.integers(1, 9)),
    st.tuples(gaps, gaps),
    seeds,
)
@cases(5)
def test_lookup(shape, strides, seed):
    table = np.random.default_rng(seed).integers(-128, 128, 256).astype(np.int8)
    specs = [TensorSpec(shape, "int8", shape[-1] + strides[0]), TensorSpec((256,), "int8")]
    native = NativeKernel(
        "lookup", specs, {"table": table}, features=DSP, out_pixel_stride=shape[-1] + strides[1]
    )
    data = random_bytes(seed, *shape)
    expected = table[data.astype(np.int32) + 128]
    np.testing.assert_array_equal(native.run_rows(data, ring=1), expected)


@given(
    st.tuples(st.just(1), st.integers(1, 3), st.integers(1, 4), st.integers(1, 9)),
    st.sampled_from(["uint8", "int8"]),
    st.tuples(gaps, gaps),
    seeds,
)
@cases(5)
def test_flipped_sign_bits(shape, dtype, strides, seed):
    spec = TensorSpec(shape, dtype, shape[-1] + strides[0])
    stride = shape[-1] + strides[1]
    native = NativeKernel("flip_sign_bit", [spec], {}, features=DSP, out_pixel_stride=stride)
    data = random_bytes(seed, *shape).view(dtype)
    expected = RowKernel("flip_sign_bit", [spec], out_pixel_stride=stride).run_rows(data)
    np.testing.assert_array_equal(native.run_rows(data, ring=1), expected)


def litert_softmax(data, scale, beta):
    builder = TFLiteBuilder()
    x = builder.input("data", data.shape, "int8", scale=scale, zero_point=3)
    out = builder.tensor("out", data.shape, "int8", scale=1 / 256, zero_point=-128)
    builder.operator("SOFTMAX", [x], [out], version=2, beta=beta)
    return run_litert_reference(builder.build([out]), {"data": data})[0]


def native_softmax(data, scale, beta=1.0):
    factors = softmax_factors(scale, beta)
    native = NativeKernel("softmax", [TensorSpec(data.shape, "int8")], {}, features=DSP, **factors)
    assert native.kernel is not None
    return native.run_rows(data, ring=1)


@given(
    st.tuples(st.just(1), st.integers(1, 3), st.integers(1, 3), st.integers(1, 40)),
    st.floats(-3, 0.5),
    st.floats(0.3, 2.0),
    st.booleans(),
    seeds,
)
@cases(10)
def test_softmax_is_litert(shape, exponent, beta, narrow, seed):
    scale, beta = float(np.float32(10**exponent)), float(np.float32(beta))
    data = random_bytes(seed, *shape) // (16 if narrow else 1)
    expected = litert_softmax(data, scale, beta)
    np.testing.assert_array_equal(native_softmax(data, scale, beta), expected)


@pytest.mark.parametrize("scale", [0.001, 0.125, 2.0])
def test_softmax_of_every_difference(scale):
    data = np.stack([np.full(256, 127), np.arange(-128, 128)], axis=-1).astype(np.int8)
    scale = float(np.float32(scale))
    expected = litert_softmax(data, scale, 1.0)
    np.testing.assert_array_equal(native_softmax(data, scale), expected)


@pytest.mark.parametrize("classes", [511, 2000, 4095])
def test_softmax_of_many_classes(classes):
    data = np.full((1, classes), 5, np.int8)
    data[0, 3] = 9
    spec, factors = TensorSpec(data.shape, "int8"), softmax_factors(0.25)
    expected = RowKernel("softmax", [spec], **factors).run_rows(data)
    np.testing.assert_array_equal(native_softmax(data, 0.25), expected)
