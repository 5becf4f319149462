"""Random operations for kernels of Helium cores: shapes, attributes, constants, data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from relax_passes.operators import TensorSpec
from tests.compiled.native_kernel_runner import NativeKernel
from tests.compiled.row_kernel_runner import RowKernel

seeds = st.integers(0, 2**32 - 1)
roundings = st.sampled_from(["double", "double", "single"])
zero_points = st.sampled_from([-128, -128, -3, 0, 83, 127])
limits = st.sampled_from([(None, None), (None, None), (-128, 100), (-5, 127), (-20, 30)])


@dataclass(frozen=True, eq=False)
class Case:
    """An operator on one kernel's operands; `constants` are all operands but the rows."""

    name: str
    inputs: tuple[TensorSpec, ...]  # read row by row
    constants: dict[str, np.ndarray]
    attrs: dict[str, Any]
    seed: int

    @property
    def specs(self) -> list[TensorSpec]:
        """All operands, as the operator takes them."""
        arrays = self.constants.values()
        return [*self.inputs, *(TensorSpec(a.shape, str(a.dtype)) for a in arrays)]

    @property
    def data(self) -> list[np.ndarray]:
        rng = np.random.default_rng(self.seed)
        return [rng.integers(-128, 128, spec.shape).astype(np.int8) for spec in self.inputs]

    def native(self) -> NativeKernel:
        """The kernel of this package for cores with Helium, and no other."""
        return NativeKernel(self.name, self.specs, self.constants, features={"mve"}, **self.attrs)

    def expected(self) -> np.ndarray:
        """What the portable kernel gives."""
        portable = RowKernel(self.name, self.specs, **self.attrs)
        return portable.run_rows(*self.data, *self.constants.values())


def _constants(seed: int, shape: tuple[int, ...], kind: str, smallest: float):
    """Weights, and factors below `smallest` that bring sums to about a byte."""
    rng = np.random.default_rng(seed)
    filters = shape[0]
    weight = rng.integers(-128 if kind == "least" else -127, 128, shape).astype(np.int8)
    bias = rng.integers(-(2**13), 2**13, filters).astype(np.int32)
    factor = rng.uniform(0.5, 2, filters) / np.sqrt(np.prod(shape[1:])) / 64
    if kind == "dead":
        weight[rng.random(filters) < 0.5] = 0
        bias[rng.random(filters) < 0.3] = 2**30
        factor *= rng.choice([0, 1, 2.0**-20], filters)
    if kind == "small":  # sums that are halves of the result's steps, again and again
        weight, bias = weight % 3 - 1, bias % 5 - 2
        factor = 2.0 ** rng.integers(-4, -2, filters)
    mantissa, shift = np.frexp(np.minimum(factor, smallest))
    multiplier = np.minimum(np.round(mantissa * 2**31), 2**31 - 1).astype(np.int32)
    return {
        "weight": weight.astype(np.int8),
        "bias": bias.astype(np.int32),
        "multiplier": multiplier,
        "shift": shift.astype(np.int32),
    }


@st.composite
def _requantized(draw, shape: tuple[int, ...]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Constants and attributes of an operator with weights of this shape."""
    rounding = draw(roundings)
    low, high = draw(limits)
    kind = draw(st.sampled_from(["usual", "usual", "small", "dead", "least"]))
    # The greatest factor that the kernels take.
    greatest = 0.4999 if rounding == "double" else 0.2499
    constants = _constants(draw(seeds), shape, kind, greatest)
    return constants, {
        "input_zero_point": draw(zero_points),
        "output_zero_point": draw(zero_points),
        "minimum": low,
        "maximum": high,
        "rounding": rounding,
    }


@st.composite
def _windows(draw, kernels) -> dict[str, Any]:
    kernel = draw(st.sampled_from(kernels))
    dilation = draw(st.sampled_from([(1, 1), (1, 1), (1, 1), (2, 1), (1, 2)]))
    padding = tuple(draw(st.integers(0, size)) for size in (*kernel, *kernel))
    if draw(st.booleans()):
        padding = (0, 0, 0, 0)
    size = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    for axis in (0, 1):
        assume(size[axis] + padding[axis] + padding[axis + 2] > (kernel[axis] - 1) * dilation[axis])
    strides = draw(st.sampled_from([(1, 1), (1, 1), (2, 2), (1, 2), (3, 1)]))
    attrs = {"strides": strides, "padding": padding, "dilation": dilation}
    return {"kernel": kernel, "size": size, "attrs": attrs}


@st.composite
def convolutions(draw) -> Case:
    window = draw(_windows([(1, 1), (1, 1), (3, 3), (3, 3), (1, 3), (2, 5), (10, 4)]))
    channels = draw(st.sampled_from([1, 3, 8, 16, 17, 20, 24, 32, 48]))
    filters = draw(st.integers(1, 9))
    constants, attrs = draw(_requantized((filters, *window["kernel"], channels)))
    gap = draw(st.sampled_from([0, 0, 0, 5]))
    data = TensorSpec((1, *window["size"], channels), "int8", channels + gap)
    attrs |= window["attrs"] | {"out_pixel_stride": filters + draw(st.sampled_from([0, 0, 3]))}
    return Case("conv2d", (data,), constants, attrs, draw(seeds))


@st.composite
def depthwise_convolutions(draw) -> Case:
    window = draw(_windows([(3, 3), (3, 3), (5, 5), (7, 7), (10, 1), (1, 4), (2, 3)]))
    channels = draw(st.sampled_from([8, 9, 13, 16, 24, 40]))
    constants, attrs = draw(_requantized((channels, *window["kernel"], 1)))
    gap = draw(st.sampled_from([0, 0, 5]))
    data = TensorSpec((1, *window["size"], channels), "int8", channels + gap)
    attrs |= window["attrs"] | {"groups": channels}
    attrs["out_pixel_stride"] = channels + draw(st.sampled_from([0, 0, 3]))
    return Case("conv2d", (data,), constants, attrs, draw(seeds))


@st.composite
def transposed_convolutions(draw) -> Case:
    kernel = draw(st.sampled_from([(1, 1), (2, 2), (3, 3), (4, 4), (1, 3), (5, 2)]))
    strides = draw(st.sampled_from([(2, 2), (2, 2), (1, 1), (1, 3), (4, 2)]))
    size = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    padding = tuple(draw(st.integers(0, length - 1)) for length in (*kernel, *kernel))
    for axis in (0, 1):
        whole = (size[axis] - 1) * strides[axis] + kernel[axis]
        assume(whole > padding[axis] + padding[axis + 2])
    channels = draw(st.sampled_from([1, 3, 8, 16, 17, 24, 32]))
    filters = draw(st.integers(1, 9))
    constants, attrs = draw(_requantized((filters, *kernel, channels)))
    gap = draw(st.sampled_from([0, 0, 0, 5]))
    data = TensorSpec((1, *size, channels), "int8", channels + gap)
    attrs |= {
        "strides": strides,
        "padding": padding,
        "output_padding": tuple(draw(st.integers(0, stride - 1)) for stride in strides),
        "out_pixel_stride": filters + draw(st.sampled_from([0, 0, 3])),
    }
    return Case("conv2d_transpose", (data,), constants, attrs, draw(seeds))


@st.composite
def dense_layers(draw) -> Case:
    rows, depth = draw(st.integers(1, 3)), draw(st.sampled_from([1, 8, 15, 16, 36, 64, 300]))
    shape = draw(st.sampled_from([(rows, depth), (1, rows, 3, depth)]))
    constants, attrs = draw(_requantized((draw(st.integers(1, 9)), depth)))
    return Case("dense", (TensorSpec(shape, "int8"),), constants, attrs, draw(seeds))


@st.composite
def sums(draw) -> Case:
    shape = (1, draw(st.integers(1, 3)), draw(st.integers(1, 4)), draw(st.integers(1, 19)))
    gaps = draw(st.tuples(*[st.sampled_from([0, 0, 2])] * 3))
    rounding = draw(roundings)
    low, high = draw(limits)
    factors = [draw(st.integers(2**30, 2**31 - 1)) for _ in range(3)]
    shifts = [-draw(st.integers(2, 4)), -draw(st.integers(2, 4)), -draw(st.integers(15, 20))]
    if draw(st.booleans()):  # the operand of the coarser scale
        index = draw(st.integers(0, 1))
        factors[index], shifts[index] = 1 << 30, 0
    attrs = {
        "zero_points": draw(st.tuples(*[zero_points] * 3)),
        "multipliers": tuple(factors),
        "shifts": tuple(shifts),
        "minimum": low,
        "maximum": high,
        "rounding": rounding,
        "out_pixel_stride": shape[-1] + gaps[2],
    }
    inputs = tuple(TensorSpec(shape, "int8", shape[-1] + gap) for gap in gaps[:2])
    return Case(draw(st.sampled_from(["add", "subtract"])), inputs, {}, attrs, draw(seeds))


@st.composite
def pools(draw) -> Case:
    window = draw(_windows([(2, 2), (3, 3), (5, 2), (1, 4)]))
    channels = draw(st.sampled_from([1, 3, 4, 16, 19, 33]))
    kind = draw(st.sampled_from(["max", "average"]))
    low, high = draw(limits)
    attrs = window["attrs"] | {"kind": kind, "pool_size": window["kernel"]}
    attrs |= {"minimum": low, "maximum": high}
    for axis in (0, 1):  # no window lies in the padding alone
        length, kernel = window["size"][axis], window["kernel"][axis]
        before, after = attrs["padding"][axis], attrs["padding"][axis + 2]
        dilation, stride = attrs["dilation"][axis], attrs["strides"][axis]
        positions = (length + before + after - (kernel - 1) * dilation - 1) // stride + 1
        for start in (position * stride - before for position in range(positions)):
            assume(any(0 <= start + tap * dilation < length for tap in range(kernel)))
    gap = draw(st.sampled_from([0, 0, 5]))
    data = TensorSpec((1, *window["size"], channels), "int8", channels + gap)
    attrs["out_pixel_stride"] = channels + draw(st.sampled_from([0, 0, 3]))
    return Case("pool2d", (data,), {}, attrs, draw(seeds))


@st.composite
def pads(draw) -> Case:
    shape = (1, *(draw(st.integers(1, size)) for size in (4, 5, 19)))
    amounts = [draw(st.integers(0, 3)) for _ in range(4)]
    attrs = {
        "pad_before": (0, *amounts[:2], 0),
        "pad_after": (0, *amounts[2:], 0),
        "value": draw(st.integers(-128, 127)),
    }
    return Case("pad", (TensorSpec(shape, "int8"),), {}, attrs, draw(seeds))


@st.composite
def products(draw) -> Case:
    """Of two matrices, the right one transposed; heads are an axis of their own, or not."""
    outer, rows, heads, columns = (draw(st.integers(1, 3)) for _ in range(4))
    depth = draw(st.sampled_from([1, 7, 15, 16, 17, 40]))
    apart = tuple(draw(st.booleans()) for _ in range(3))
    shapes = [(outer, rows, heads, depth), (outer, columns, heads, depth)]
    shapes = [s if own else (*s[:2], heads * depth) for s, own in zip(shapes, apart)]
    gaps = [draw(st.sampled_from([0, 3])) for _ in range(3)]
    specs = tuple(TensorSpec(s, "int8", s[-1] + gap) for s, gap in zip(shapes, gaps))
    low, high = draw(limits)
    attrs = {
        "heads": heads,
        "outer": outer,
        "transposed": True,
        "apart": apart,
        "zero_points": tuple(draw(zero_points) for _ in range(3)),
        "multiplier": draw(st.integers(2**30, 2**31 - 1)),
        "shift": draw(st.integers(-12, 2)),
        "rounding": draw(roundings),
        "minimum": low,
        "maximum": high,
        "out_pixel_stride": (columns if apart[2] else heads * columns) + gaps[2],
    }
    return Case("matmul", specs, {}, attrs, draw(seeds))


KINDS = {
    "convolution": convolutions(),
    "transposed convolution": transposed_convolutions(),
    "depthwise convolution": depthwise_convolutions(),
    "dense": dense_layers(),
    "sum": sums(),
    "pool": pools(),
    "pad": pads(),
    "product": products(),
}
