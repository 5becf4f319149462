"""Kernels of convolutions in groups: the portable kernels' bits, on the host and on cores."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dero_tvm.kernels.c_kernel import Request
from dero_tvm.kernels.kernel_table import candidates
from relax_passes.operators import OperatorClass, Signature, TensorSpec
from tests.compiled.native_kernel_runner import NativeKernel
from tests.compiled.row_kernel_runner import RowKernel
from tests.kernels import mve_cases
from tests.kernels.core_cases import check_on_cores
from tests.kernels.mve_cases import Case
from tests.random_cases import cases


@st.composite
def layers(draw) -> Case:
    """A convolution of 2 to 4 groups, made of a random one of a group."""
    layer = draw(mve_cases.KINDS["convolution"])
    groups = draw(st.integers(2, 4))
    (data,) = layer.inputs
    filters = len(layer.constants["weight"])
    rng = np.random.default_rng(layer.seed)
    order = np.concatenate([rng.permutation(filters) for _ in range(groups)])
    constants = {name: array[order] for name, array in layer.constants.items()}
    channels = groups * data.channels
    gap = data.pixel_stride - data.channels
    out_gap = layer.attrs["out_pixel_stride"] - filters
    wide = TensorSpec((*data.shape[:3], channels), "int8", channels + gap)
    attrs = layer.attrs | {"groups": groups, "out_pixel_stride": groups * filters + out_gap}
    return Case("conv2d", (wide,), constants, attrs, layer.seed)


def test_bits(tmp_path: Path) -> None:
    drawn: list[tuple[Case, int]] = []

    @given(layers(), st.integers(0, 2))
    @cases(16)
    def collect(layer: Case, ring: int) -> None:
        drawn.append((layer, ring))

    collect()
    for with_kernel in check_on_cores(drawn, tmp_path):
        assert len(with_kernel) > len(drawn) / 2


def test_constants_of_what_is_joined_to_it() -> None:
    """They are of no group: a joined operator is asked for with all constants of both."""
    own = {
        "weight": np.ones((4, 1, 1, 2), "int8"),
        "bias": np.zeros(4, "int32"),
        "multiplier": np.full(4, 1 << 30, "int32"),
        "shift": np.full(4, -6, "int32"),
    }
    data = TensorSpec((1, 3, 3, 4), "int8")
    specs = (data, *(TensorSpec(array.shape, str(array.dtype)) for array in own.values()))
    around = {"strides": (1, 1), "padding": (0, 0, 0, 0), "dilation": (1, 1), "groups": 2}
    points = {"input_zero_point": 0, "weight_zero_point": 0, "output_zero_point": 0}
    limits = {"minimum": None, "maximum": None, "rounding": "double"}
    signature = Signature("dero.conv2d", specs, data, around | points | limits)
    alone = Request(signature, OperatorClass.POINTWISE, own, frozenset({"dsp"}))
    joined = replace(alone, constants={**own, "tables": np.zeros(1, "int8")})
    one, other = (next(candidates(request)) for request in (alone, joined))
    assert one.name == other.name and one.name.endswith("_groups")


@pytest.mark.parametrize("dtype", ["float32", "int16"])
def test_other_types(dtype: str) -> None:
    rng = np.random.default_rng(5)
    data = TensorSpec((1, 5, 6, 12), dtype)
    integers = dtype == "int16"
    kernel = (3, 3) if integers else (3, 1)  # float32 pixels lie apart
    weight = rng.integers(-127, 128, (8, *kernel, 4)).astype("int8" if integers else "float32")
    constants = {"weight": weight, "bias": rng.integers(-99, 99, 8).astype("int32")}
    attrs = {"groups": 3, "padding": (1, kernel[1] // 2, 1, kernel[1] // 2)}
    constants["weight"] = np.concatenate([weight, weight[:1]])
    constants["bias"] = np.concatenate([constants["bias"], constants["bias"][:1]])
    if integers:
        constants["multiplier"] = np.full(9, 2**30 + 77, np.int32)
        constants["shift"] = np.full(9, -8, np.int32)
        attrs["rounding"] = "double"
    else:
        constants["bias"] = constants["bias"].astype("float32")
    specs = [data, *(TensorSpec(a.shape, str(a.dtype)) for a in constants.values())]
    x = rng.integers(-999, 999, data.shape).astype(dtype)
    native = NativeKernel("conv2d", specs, constants, features={"dsp", "fpu"}, **attrs)
    assert native.kernel is not None and native.kernel.name.endswith("_groups")
    expected = RowKernel("conv2d", specs, **attrs).run_rows(x, *constants.values())
    np.testing.assert_allclose(native.run_rows(x), expected, rtol=1e-5 if not integers else 0)
