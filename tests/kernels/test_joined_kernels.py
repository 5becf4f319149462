"""Kernels of joined operators: the bits of the two operators in turn, on the host and on cores."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dero_tvm.kernels import CKernel, register_kernel, unregister_kernel
from relax_passes.operators import TensorSpec, quantized
from relax_passes.operators.joined import joined_attributes
from tests.compiled.kernel_batch import KernelBatch
from tests.compiled.native_kernel_runner import NativeKernel
from tests.compiled.row_kernel_runner import RowKernel
from tests.kernels import mve_cases
from tests.kernels.core_cases import check_batch
from tests.kernels.mve_cases import Case
from tests.random_cases import cases

CORES = {"mps2-an500": {"dsp"}, "mps3-an547": {"dsp", "mve"}}
LAYERS = st.one_of(
    *(mve_cases.KINDS[kind] for kind in ("convolution", "convolution", "depthwise convolution")),
    mve_cases.KINDS["dense"],
)
steps = st.sampled_from([0.02, 0.05, 0.13])


@st.composite
def joins(draw) -> tuple[str, dict[str, Any]]:
    """The name of a join and its attributes."""
    name = draw(st.sampled_from(["add", "add", "subtract", "multiply"]))
    scales = [draw(steps) for _ in "abo"]
    low, high = draw(mve_cases.limits)
    attrs = {"minimum": low, "maximum": high}
    attrs["zero_points"] = tuple(draw(mve_cases.zero_points) for _ in "abo")
    if name == "multiply":
        multiplier, shift = quantized.multiply_factors(*scales)
        return name, attrs | {"multiplier": multiplier, "shift": shift}
    factors = quantized.add_factors if name == "add" else quantized.subtract_factors
    return name, attrs | factors(*scales)


class Joined:
    """A layer, what it is joined with, and what the two operators give one after the other."""

    def __init__(self, layer: Case, join: tuple[str, dict[str, Any]], computed: int) -> None:
        self.layer, self.computed = layer, computed
        self.join, self.join_attrs = join
        rng = np.random.default_rng(layer.seed)
        first = layer.expected()
        self.other = rng.integers(-128, 128, first.shape).astype(np.int8)
        both = [first, self.other][:: -1 if computed else 1]
        specs = [TensorSpec(first.shape, "int8")] * 2
        self.expected = RowKernel(self.join, specs, **self.join_attrs).run_rows(*both)
        gap = layer.seed % 4 == 0
        self.other_spec = TensorSpec(first.shape, "int8", first.shape[-1] + 3 * gap)

    def native(self, features: set[str]) -> NativeKernel:
        attrs = dict(self.layer.attrs)
        stride = attrs.pop("out_pixel_stride", 0)
        attrs = joined_attributes(attrs, self.join_attrs, self.computed)
        name = f"{self.layer.name}_{self.join}"
        specs = [*self.layer.specs, self.other_spec]
        constants = self.layer.constants
        return NativeKernel(
            name, specs, constants, features=features, out_pixel_stride=stride, **attrs
        )

    def parts(self, features: set[str]) -> list[CKernel | None]:
        """The kernels of the two operators alone."""
        layer, specs = self.layer, [TensorSpec(self.other.shape, "int8")] * 2
        first = NativeKernel(
            layer.name, layer.specs, layer.constants, features=features, **layer.attrs
        )
        second = NativeKernel(self.join, specs, {}, features=features, **self.join_attrs)
        return [first.kernel, second.kernel]


def test_bits(tmp_path: Path) -> None:
    drawn: list[tuple[Joined, int]] = []

    @given(LAYERS, joins(), st.integers(0, 1), st.integers(0, 2))
    @cases(14)
    def collect(layer: Case, join, computed: int, ring: int) -> None:
        drawn.append((Joined(layer, join, computed), ring))

    collect()
    for board, features in CORES.items():
        batch, expected = KernelBatch(), []
        for case, ring in drawn:
            native = case.native(features)
            if native.kernel is None:
                first, second = case.parts(features)
                assert None in (first, second) or first.name == "mve_depthwise"
                continue
            data = [*case.layer.data, case.other]
            dense = native.signature.output.dense and case.other_spec.dense
            for over in (None, 1) if dense else (None,):
                batch.add(native, data, ring, over)
                expected.append((case.layer, case.expected))
        assert len(expected) > len(drawn) / 2
        check_batch(batch, expected, board, tmp_path)


@pytest.mark.parametrize(("name", "operation"), [("add", np.add), ("multiply", np.multiply)])
@given(
    st.sampled_from([(1, 1, 4), (3, 3, 4), (3, 5, 9)]),
    st.integers(1, 9),
    st.integers(1, 12),
    st.sampled_from([(None, None), (0.0, 0.75)]),
    st.integers(0, 2**32 - 1),
)
@cases(6)
def test_float32(name: str, operation: Callable, window, filters, width, bounds, seed) -> None:
    """The bits of the same convolution's kernel, joined."""
    rng = np.random.default_rng(seed)
    *kernel, channels = window
    data = rng.standard_normal((1, 4, width, channels), dtype=np.float32)
    constants = {
        "weight": rng.standard_normal((filters, *kernel, channels), dtype=np.float32),
        "bias": rng.standard_normal(filters, dtype=np.float32),
    }
    half = [size // 2 for size in kernel]
    attrs = {"padding": (*half, *half), "strides": (1, 1 + seed % 2), "maximum": 2.0}
    specs = [TensorSpec(a.shape, "float32") for a in (data, *constants.values())]
    alone = NativeKernel("conv2d", specs, constants, features={"fpu"}, **attrs)
    first = alone.run_rows(data)
    other = rng.standard_normal(first.shape, dtype=np.float32)
    join = {"minimum": bounds[0], "maximum": bounds[1]}
    native = NativeKernel(
        f"conv2d_{name}",
        [*specs, TensorSpec(other.shape, "float32")],
        constants,
        features={"fpu"},
        **joined_attributes(attrs, join, seed % 2),
    )
    assert native.kernel is not None and native.kernel.name == f"fpu_conv2d_{name}"
    expected = np.clip(operation(first, other), *bounds) if any(bounds) else operation(first, other)
    np.testing.assert_array_equal(native.run_rows(data, other, ring=seed % 3), expected)


def test_a_kernel_of_ones_own_is_not_joined() -> None:
    """It writes whole rows, and is preferred to the package's."""

    @register_kernel("conv2d", features={"dsp"})
    def mine(request) -> CKernel:
        return CKernel("mine", "(void)row;")

    try:
        case = Joined(*_A_CASE)
        assert case.native({"dsp"}).kernel is None
    finally:
        unregister_kernel(mine)
    kernel = case.native({"dsp"}).kernel
    assert kernel is not None and kernel.name == "dsp_pointwise_add"


def _layer() -> Case:
    rng = np.random.default_rng(0)
    multiplier, shift = quantized.convolution_factors(0.05, [0.003] * 4, 0.05, 4)
    constants = {
        "weight": rng.integers(-127, 128, (4, 1, 1, 4)).astype(np.int8),
        "bias": np.zeros(4, np.int32),
        "multiplier": multiplier,
        "shift": shift,
    }
    return Case("conv2d", (TensorSpec((1, 3, 3, 4), "int8"),), constants, {}, 1)


_A_CASE = (_layer(), ("add", quantized.add_factors(0.05, 0.05, 0.05)), 0)
