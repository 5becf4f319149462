"""float32 kernels: near the portable kernels on random shapes; they round once less."""

from __future__ import annotations

from shutil import which
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tvm import relax

import dero_tvm
from relax_passes.operators import TensorSpec, make_call
from tests.compiled.native_kernel_runner import NativeKernel
from tests.compiled.row_kernel_runner import RowKernel
from tests.random_cases import cases

seeds = st.integers(0, 2**32 - 1)
limits = st.sampled_from([(None, None), (0.0, None), (0.0, 6.0), (None, 0.5)])
SPECIAL = np.float32([np.inf, -np.inf, np.nan])


@st.composite
def layers(draw) -> dict[str, Any]:
    kernel = draw(st.sampled_from([(1, 1), (3, 3), (2, 5)]))
    height, width = draw(st.integers(1, 7)), draw(st.integers(1, 7))
    padding = tuple(draw(st.integers(0, size - 1)) for size in (*kernel, *kernel))
    assume(height + padding[0] + padding[2] >= kernel[0])
    assume(width + padding[1] + padding[3] >= kernel[1])
    depthwise = draw(st.booleans())
    channels = draw(st.sampled_from([4, 5, 9] if depthwise else [2, 3, 4, 9]))
    filters = channels if depthwise else draw(st.integers(1, 9))
    low, high = draw(limits)
    return {
        "data": TensorSpec((1, height, width, channels), "float32"),
        "weight": (filters, *kernel, 1 if depthwise else channels),
        "ring": draw(st.integers(0, 2)),
        "seed": draw(seeds),
        "special": draw(st.booleans()),
        "attrs": {
            "strides": draw(st.tuples(st.integers(1, 2), st.integers(1, 3))),
            "padding": padding,
            "groups": channels if depthwise else 1,
            "minimum": low,
            "maximum": high,
            "out_pixel_stride": filters + draw(st.sampled_from([0, 3])),
        },
    }


@given(layers())
@cases(8)
def test_convolution(case):
    check("conv2d", case)


@given(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9), seeds)
@cases(2)
def test_dense(rows, depth, units, seed):
    data = TensorSpec((rows, depth), "float32")
    case = {"data": data, "weight": (units, depth), "ring": 0, "seed": seed, "attrs": {}}
    check("dense", {**case, "special": bool(seed % 2)})


def test_depthwise_of_few_channels_is_left_to_the_portable_kernel():
    """Of whose bias gcc would warn: four are read together where there are so many."""
    specs = [TensorSpec((1, 5, 5, 3), "float32"), TensorSpec((3, 3, 3, 1), "float32")]
    constants = {"weight": np.ones((3, 3, 3, 1), "float32"), "bias": np.ones(3, "float32")}
    specs.append(TensorSpec((3,), "float32"))
    native = NativeKernel("conv2d", specs, constants, features={"fpu"}, groups=3)
    assert native.kernel is None


def check(name: str, case: dict[str, Any]) -> None:
    rng = np.random.default_rng(case["seed"])
    data = rng.normal(size=case["data"].shape).astype(np.float32)
    if case["special"]:
        data = np.where(rng.random(data.shape) < 0.1, rng.choice(SPECIAL, data.shape), data)
    weight = rng.normal(size=case["weight"]).astype(np.float32)
    bias = rng.normal(size=len(weight)).astype(np.float32)
    specs = [case["data"], *(TensorSpec(array.shape, "float32") for array in (weight, bias))]
    constants = {"weight": weight, "bias": bias}
    native = NativeKernel(name, specs, constants, features={"fpu"}, **case["attrs"])
    expected = RowKernel(name, specs, **case["attrs"]).run_rows(data, weight, bias)
    found = native.run_rows(data, ring=case["ring"])
    # What NaN is clamped to is left open, except that it is a bound or stays.
    low, high = case["attrs"].get("minimum"), case["attrs"].get("maximum")
    unbounded = RowKernel(name, specs, **{**case["attrs"], "minimum": None, "maximum": None})
    undefined = np.isnan(unbounded.run_rows(data, weight, bias))
    for values in (found, expected):
        bounds = [bound for bound in (low, high) if bound is not None]
        assert (np.isnan(values) | np.isin(values, bounds))[undefined].all()
    defined = ~undefined
    np.testing.assert_allclose(found[defined], expected[defined], rtol=1e-5, atol=1e-5)


MISSING = [tool for tool in ("arm-none-eabi-gcc", "qemu-system-arm") if which(tool) is None]


@pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")
@pytest.mark.parametrize("board", ["mps2-an386", "mps3-an547"])
def test_instructions_of_the_core(board: str):
    """Loads of several numbers, and Helium's vectors, are on no host."""
    rng = np.random.default_rng(0)
    data = relax.Var("data", relax.TensorType((1, 5, 12, 3), "float32"))
    arrays = [rng.normal(size=shape).astype(np.float32) for shape in ((10, 3, 3, 3), 10)]
    builder = relax.BlockBuilder()
    with builder.function("main", [data]):
        operands = [data, *map(relax.const, arrays)]
        call = make_call("conv2d", operands, padding=(1, 1, 1, 1))
        builder.emit_func_output(builder.emit(call))
    model = dero_tvm.compile(builder.get(), target=board, dero="none")
    assert "fpu_conv2d" in model.archive.c_sources()["default_lib1.c"].decode()
    image = rng.normal(size=(1, 5, 12, 3)).astype(np.float32)
    image[0, 1, [2, 7], 1], image[0, 4, 9] = SPECIAL[:2], SPECIAL[2]
    inputs = {"data": image}
    (expected,), (found,) = (model.run(inputs, d).values() for d in ("host", f"qemu:{board}"))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
