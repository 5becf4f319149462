"""Kernels for DSP cores of int16 layers: the bits of the portable kernels, on random shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from relax_passes.operators import TensorSpec
from relax_passes.operators.fixed_point import reduced_multiplier
from tests.compiled.native_kernel_runner import NativeKernel
from tests.compiled.row_kernel_runner import RowKernel
from tests.kernels.test_dsp_kernels import DSP, constants, convolutions, seeds
from tests.random_cases import cases

limits = st.sampled_from([(None, None), (0, None), (-5000, 12000)])


def of_int16(case: dict[str, Any], rounding: str, bounds: tuple[Any, Any]) -> dict[str, Any]:
    """A case of int8 with int16 data, whose sums are 256 times as large."""
    data, vectors = case["data"], dict(case["constants"])
    vectors["bias"] = (vectors["bias"] // 4).astype(np.int32)
    if rounding == "reduced":
        reduced = [reduced_multiplier(int(m)) for m in vectors["multiplier"]]
        vectors["multiplier"] = np.array(reduced, np.int32)
        vectors["shift"] = np.minimum(vectors["shift"], 7)
    sums = np.abs(vectors["weight"].astype(np.int64)).reshape(len(vectors["weight"]), -1).sum(1)
    greatest = sums * 2**15 + np.abs(vectors["bias"].astype(np.int64))
    assume((greatest * np.exp2(np.maximum(vectors["shift"], 0)) < 2**31).all())
    attrs = case["attrs"] | {"input_zero_point": 0, "output_zero_point": 0, "rounding": rounding}
    attrs |= {"minimum": bounds[0], "maximum": bounds[1]}
    spec = TensorSpec(data.shape, "int16", data.pixel_stride)
    return case | {"data": spec, "constants": vectors, "attrs": attrs}


@pytest.mark.parametrize("depthwise", [False, True])
@given(st.data(), st.sampled_from(["double", "reduced"]), limits)
@cases(8)
def test_convolution(depthwise: bool, data: st.DataObject, rounding: str, bounds: Any) -> None:
    check("conv2d", of_int16(data.draw(convolutions(depthwise)), rounding, bounds))


@given(st.integers(1, 3), st.integers(1, 30), st.integers(1, 9), limits, seeds)
@cases(4)
def test_dense(rows: int, depth: int, units: int, bounds: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    case = {
        "rng": rng,
        "data": TensorSpec((rows, depth), "int8"),
        "constants": constants(rng, (units, depth), "usual"),
        "ring": 0,
        "attrs": {},
    }
    check("dense", of_int16(case, "reduced", bounds))


def check(name: str, case: dict[str, Any]) -> None:
    """The kernel in C exists, and gives what the portable kernel gives."""
    operands = list(case["constants"].values())
    specs = [case["data"], *(TensorSpec(array.shape, str(array.dtype)) for array in operands)]
    native = NativeKernel(name, specs, case["constants"], features=DSP, **case["attrs"])
    assert native.kernel is not None
    portable = RowKernel(name, specs, **case["attrs"])
    data = case["rng"].integers(-(1 << 15), 1 << 15, case["data"].shape).astype(np.int16)
    expected = portable.run_rows(data, *operands)
    np.testing.assert_array_equal(native.run_rows(data, ring=case["ring"]), expected)


def test_sums_of_64_bits_are_left_to_the_portable_kernel() -> None:
    specs = [TensorSpec((1, 4), "int16"), TensorSpec((2, 4), "int8")]
    vectors = {"weight": np.ones((2, 4), np.int8), "bias": np.zeros(2, np.int64)}
    vectors |= {"multiplier": np.full(2, 1 << 30, np.int32), "shift": np.zeros(2, np.int32)}
    specs += [TensorSpec((2,), str(vectors[n].dtype)) for n in ("bias", "multiplier", "shift")]
    assert NativeKernel("dense", specs, vectors, features=DSP, rounding="reduced").kernel is None
