"""Kernels for DSP cores: the bits of the portable kernels, on random shapes and numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from relax_passes.operators import TensorSpec
from relax_passes.operators.sum_range import SumRange
from tests.compiled.native_kernel_runner import NativeKernel
from tests.compiled.row_kernel_runner import RowKernel
from tests.random_cases import cases

DSP = {"dsp"}
seeds = st.integers(0, 2**32 - 1)
roundings = st.sampled_from(["double", "single"])
layer_roundings = st.sampled_from(["double", "single", "even"])
zero_points = st.sampled_from([-128, -3, 0, 83, 127])
limits = st.sampled_from([(None, None), (-128, 127), (-128, 100), (-5, 127), (-20, 30)])


def constants(rng: np.random.Generator, shape: tuple[int, ...], kind: str) -> dict[str, Any]:
    """Weights, and factors that bring sums to about a byte; `kind` leaves the beaten track."""
    filters = shape[0]
    least = -128 if kind == "least" else -127
    weight = rng.integers(least, 128, shape).astype(np.int8)
    if kind == "dead":
        weight[rng.random(filters) < 0.5] = 0
    bias = rng.integers(-(2**13), 2**13, filters).astype(np.int32)
    if kind == "dead":
        bias[rng.random(filters) < 0.3] = 2**30
    factor = rng.uniform(0.5, 2, filters) / np.sqrt(np.prod(shape[1:])) / 64
    if kind == "steep":
        factor *= rng.choice([1, 64, 1024], filters)
    if kind == "dead":
        factor *= rng.choice([0, 1, 2.0**-20], filters)
    if kind == "powers":  # sums that are ties between two results
        factor = 2.0 ** rng.integers(-5, 0, filters)
    mantissa, shift = np.frexp(factor)
    multiplier = np.minimum(np.round(mantissa * 2**31), 2**31 - 1).astype(np.int32)
    return {
        "weight": weight,
        "bias": bias,
        "multiplier": multiplier,
        "shift": shift.astype(np.int32),
    }


@st.composite
def convolutions(draw, depthwise: bool = False):
    """Shapes and attributes of a convolution of one group, or of one for each channel."""
    kernel = draw(st.sampled_from([(1, 1), (3, 3), (1, 3), (5, 5), (2, 4), (10, 4), (7, 7)]))
    strides = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    dilation = draw(st.sampled_from([(1, 1), (1, 1), (2, 1), (1, 2)]))
    padding = tuple(draw(st.integers(0, size)) for size in (*kernel, *kernel))
    height, width = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    assume(height + padding[0] + padding[2] > (kernel[0] - 1) * dilation[0])
    assume(width + padding[1] + padding[3] > (kernel[1] - 1) * dilation[1])
    channels = draw(st.sampled_from([4, 5, 8, 12, 18] if depthwise else [1, 3, 4, 8, 12, 20]))
    filters = channels if depthwise else draw(st.integers(1, 9))
    rng = np.random.default_rng(draw(seeds))
    kind = draw(st.sampled_from(["usual", "usual", "powers", "steep", "dead", "least"]))
    low, high = draw(limits)
    return {
        "rng": rng,
        "data": TensorSpec(
            (1, height, width, channels), "int8", channels + draw(st.sampled_from([0, 0, 4]))
        ),
        "constants": constants(rng, (filters, *kernel, 1 if depthwise else channels), kind),
        "ring": draw(st.integers(0, 2)),
        "attrs": {
            "strides": strides,
            "padding": padding,
            "dilation": dilation,
            "groups": channels if depthwise else 1,
            "input_zero_point": draw(zero_points),
            "output_zero_point": draw(zero_points),
            "minimum": low,
            "maximum": high,
            "rounding": draw(layer_roundings),
            "out_pixel_stride": filters + draw(st.sampled_from([0, 3])),
        },
    }


@st.composite
def pixels_of_eight_channels(draw):
    """Pointwise convolutions whose results take all of int8, which have a kernel of their own."""
    case, filters = draw(convolutions()), draw(st.sampled_from([4, 12]))
    shape, gap = case["data"].shape, case["data"].pixel_stride - case["data"].channels
    case["data"] = TensorSpec((*shape[:3], 8), "int8", 8 + gap)
    case["constants"] = constants(case["rng"], (filters, 1, 1, 8), "usual")
    case["attrs"] |= {"minimum": None, "maximum": None, "dilation": (1, 1)}
    case["attrs"] |= {"padding": (0, 0, 0, 0), "out_pixel_stride": filters + 3 * (gap > 0)}
    return case


def check(name: str, case: dict[str, Any]) -> None:
    """The kernel in C exists, and gives what the portable kernel gives."""
    operands = list(case["constants"].values())
    specs = [case["data"], *(TensorSpec(array.shape, str(array.dtype)) for array in operands)]
    native = NativeKernel(name, specs, case["constants"], features=DSP, **case["attrs"])
    weight = case["constants"]["weight"].astype(np.int32)
    halves = weight[1::2] * 256 + weight[: len(weight) // 2 * 2 : 2]
    if native.kernel is None:  # what is left to the portable kernel
        paired = halves.size and halves.min() < -(2**15)
        taps = weight.reshape(len(weight), -1)
        sums = SumRange.of(taps, case["attrs"]["input_zero_point"])
        large = sums.low.min() < -(2**23) or sums.high.max() >= 2**23
        padding = np.pad(taps, [(0, -length % 4) for length in taps.shape]).size - taps.size
        grows = padding > max(2048, taps.size // 2)
        assert (paired or large or grows) and case["attrs"].get("groups", 1) == 1
        return
    portable = RowKernel(name, specs, **case["attrs"])
    data = case["rng"].integers(-128, 128, case["data"].shape).astype(np.int8)
    expected = portable.run_rows(data, *operands)
    np.testing.assert_array_equal(native.run_rows(data, ring=case["ring"]), expected)


@given(convolutions())
@cases(12)
def test_convolution(case):
    check("conv2d", case)


@given(pixels_of_eight_channels())
@cases(8)
def test_pixels_of_eight_channels(case):
    check("conv2d", case)


@given(convolutions(depthwise=True))
@cases(12)
def test_depthwise_convolution(case):
    check("conv2d", case)


@st.composite
def transposed_convolutions(draw):
    """Like `convolutions`; with strides longer than the kernel, too."""
    kernel = draw(st.sampled_from([(1, 1), (2, 2), (3, 3), (4, 4), (1, 3), (5, 2)]))
    strides = draw(st.sampled_from([(2, 2), (2, 2), (1, 1), (1, 3), (4, 2)]))
    size = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    padding = tuple(draw(st.integers(0, length - 1)) for length in (*kernel, *kernel))
    for axis in (0, 1):
        whole = (size[axis] - 1) * strides[axis] + kernel[axis]
        assume(whole > padding[axis] + padding[axis + 2])
    case = draw(convolutions())
    channels = draw(st.sampled_from([1, 3, 4, 8, 12, 20]))
    filters = draw(st.integers(1, 9))
    case["constants"] = constants(case["rng"], (filters, *kernel, channels), "usual")
    case["data"] = TensorSpec(
        (1, *size, channels), "int8", channels + draw(st.sampled_from([0, 4]))
    )
    extra = tuple(draw(st.integers(0, stride - 1)) for stride in strides)
    case["attrs"] |= {
        "strides": strides,
        "padding": padding,
        "dilation": (1, 1),
        "output_padding": extra,
        "out_pixel_stride": filters + draw(st.sampled_from([0, 3])),
    }
    return case


@given(transposed_convolutions())
@cases(12)
def test_transposed_convolution(case):
    check("conv2d_transpose", case)


@st.composite
def dense_layers(draw):
    rows, depth = draw(st.integers(1, 3)), draw(st.sampled_from([1, 4, 7, 8, 36]))
    shape = draw(st.sampled_from([(rows, depth), (1, rows, 3, depth)]))
    rng = np.random.default_rng(draw(seeds))
    kind = draw(st.sampled_from(["usual", "powers", "steep", "dead"]))
    low, high = draw(limits)
    return {
        "rng": rng,
        "data": TensorSpec(shape, "int8"),
        "constants": constants(rng, (draw(st.integers(1, 9)), depth), kind),
        "ring": 0,
        "attrs": {
            "input_zero_point": draw(zero_points),
            "output_zero_point": draw(zero_points),
            "minimum": low,
            "maximum": high,
            "rounding": draw(layer_roundings),
        },
    }


@given(dense_layers())
@cases(6)
def test_dense(case):
    check("dense", case)


@given(
    st.sampled_from(["add", "subtract"]),
    st.tuples(st.just(1), st.integers(1, 3), st.integers(1, 4), st.integers(1, 9)),
    st.tuples(*[st.sampled_from([0, 0, 2])] * 3),
    st.tuples(*[zero_points] * 3),
    st.tuples(*[st.integers(2**30, 2**31 - 1)] * 3),
    st.tuples(st.integers(-30, 0), st.integers(-30, 0), st.integers(-22, 0)),
    limits,
    roundings,
    seeds,
)
@cases(6)
def test_sum(name, shape, gaps, zeros, multipliers, shifts, bounds, rounding, seed):
    rng = np.random.default_rng(seed)
    specs = [TensorSpec(shape, "int8", shape[-1] + gap) for gap in gaps[:2]]
    attrs = {
        "zero_points": zeros,
        "multipliers": multipliers,
        "shifts": shifts,
        "minimum": bounds[0],
        "maximum": bounds[1],
        "rounding": rounding,
        "out_pixel_stride": shape[-1] + gaps[2],
    }
    arrays = [rng.integers(-128, 128, shape).astype(np.int8) for _ in specs]
    native = NativeKernel(name, specs, {}, features=DSP, **attrs)
    expected = RowKernel(name, specs, **attrs).run_rows(*arrays)
    np.testing.assert_array_equal(native.run_rows(*arrays, ring=1), expected)


@given(
    st.tuples(st.just(1), *[st.integers(1, 5)] * 3),
    st.tuples(*[st.integers(0, 3)] * 4),
    st.integers(-128, 127),
    seeds,
)
@cases(3)
def test_pad(shape, amounts, value, seed):
    data = np.random.default_rng(seed).integers(-128, 128, shape).astype(np.int8)
    before, after = (0, *amounts[:2], 0), (0, *amounts[2:], 0)
    attrs = {"pad_before": before, "pad_after": after, "value": value}
    native = NativeKernel("pad", [TensorSpec(shape, "int8")], {}, features=DSP, **attrs)
    expected = np.pad(data, tuple(zip(before, after)), constant_values=value)
    np.testing.assert_array_equal(native.run_rows(data, ring=1), expected)


@given(
    st.tuples(st.just(1), *[st.integers(1, 6)] * 2, st.sampled_from([1, 3, 4, 6, 9])),
    st.tuples(*[st.integers(1, 13)] * 2),
    st.sampled_from(["asymmetric", "half_pixel", "align_corners"]),
    st.sampled_from(["litert", "exact", "scaled"]),
    st.tuples(*[st.sampled_from([0, 0, 3])] * 2),
    layer_roundings,
    zero_points,
    limits,
    seeds,
)
@cases(16)
def test_bilinear(shape, size, coordinates, kind, gaps, rounding, zero, bounds, seed):
    rng = np.random.default_rng(seed)
    attrs = {
        "size": size,
        "coordinates": coordinates,
        "arithmetic": "litert" if kind == "litert" else "exact",
        "rounding": rounding,
        "out_pixel_stride": shape[-1] + gaps[1],
    }
    if kind != "litert":
        attrs |= {"input_zero_point": zero, "output_zero_point": int(rng.integers(-128, 128))}
        attrs |= {"minimum": bounds[0], "maximum": bounds[1]}
    if kind == "scaled":
        attrs |= {"multiplier": int(rng.integers(2**30, 2**31)), "shift": -int(rng.integers(2, 9))}
    data = rng.integers(-128, 128, shape).astype(np.int8)
    specs = [TensorSpec(shape, "int8", shape[-1] + gaps[0])]
    native = NativeKernel("resize_bilinear", specs, {}, features=DSP, **attrs)
    expected = RowKernel("resize_bilinear", specs, **attrs).run_rows(data)
    np.testing.assert_array_equal(native.run_rows(data, ring=1), expected)


@given(convolutions(depthwise=True), st.sampled_from(["max", "average"]))
@cases(6)
def test_pooling(case, kind):
    attrs = {k: case["attrs"][k] for k in ("strides", "minimum", "maximum", "out_pixel_stride")}
    size = case["constants"]["weight"].shape[1:3]
    padding = [draw % limit for draw, limit in zip(case["attrs"]["padding"], (*size, *size))]
    height, width = case["data"].shape[1:3]
    assume(height + padding[0] + padding[2] >= size[0] and padding[0] < height)
    assume(width + padding[1] + padding[3] >= size[1] and padding[1] < width)
    attrs |= {"kind": kind, "pool_size": size, "padding": tuple(padding)}
    try:
        portable = RowKernel("pool2d", [case["data"]], **attrs)
    except ValueError:  # some window lies in the padding alone
        assume(False)
    native = NativeKernel("pool2d", [case["data"]], {}, features=DSP, **attrs)
    data = case["rng"].integers(-128, 128, case["data"].shape).astype(np.int8)
    expected = portable.run_rows(data)
    np.testing.assert_array_equal(native.run_rows(data, ring=case["ring"]), expected)
