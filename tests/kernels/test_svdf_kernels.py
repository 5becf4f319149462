"""Kernels of filters over time: the portable kernels' bits, on the host and on a core."""

from __future__ import annotations

import shutil

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from relax_passes.operators import TensorSpec
from tests.compiled.kernel_batch import KernelBatch
from tests.compiled.native_kernel_runner import NativeKernel
from tests.compiled.row_kernel_runner import RowKernel
from tests.random_cases import cases


@st.composite
def layers(draw):
    """Data, a state of int8 or int16, and the weights of both steps."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows, rank, units = draw(st.integers(1, 3)), draw(st.integers(1, 2)), draw(st.integers(1, 5))
    width, memory = draw(st.integers(1, 13)), draw(st.integers(1, 9))
    kind = draw(st.sampled_from(["int8", "int16"]))
    filters, most = units * rank, 127 if kind == "int8" else 3000
    numbers = lambda least, most, shape, dtype: rng.integers(least, most + 1, shape).astype(dtype)  # noqa: E731
    data = numbers(-128, 127, (rows, width), "int8")
    state = numbers(-most, most, (rows, filters * memory), kind)
    factor = {"multiplier": int(rng.integers(2**30, 2**31)), "shift": draw(st.integers(-14, 2))}
    zero = draw(st.sampled_from([0, 0, -3, 100])) if kind == "int8" else 0
    update = {"input_zero_point": draw(st.sampled_from([-128, 0, 5])), "state_zero_point": zero}
    weight = numbers(-127, 127, (filters, width), "int8")
    filtering = {
        "rank": rank,
        "state_zero_point": zero,
        "output_zero_point": int(rng.integers(-99, 99)),
    }
    times = numbers(-most, most, (filters, memory), kind)
    bias = numbers(-9999, 9999, units, "int32")
    return [
        ("svdf_update", [data, state], {"weight": weight}, update | factor),
        ("svdf_filter", [state], {"weight": times, "bias": bias}, filtering | factor),
    ]


def test_bits(tmp_path) -> None:
    batch, expected = KernelBatch(), []

    @given(layers(), st.integers(0, 2))
    @cases(12)
    def collect(steps, ring) -> None:
        for name, arrays, constants, attrs in steps:
            operands = [*arrays, *constants.values()]
            specs = [TensorSpec(a.shape, str(a.dtype)) for a in operands]
            native = NativeKernel(name, specs, constants, features={"dsp"}, **attrs)
            assert native.kernel is not None
            batch.add(native, arrays, ring)
            expected.append(RowKernel(name, specs, **attrs).run_rows(*operands))

    collect()
    results = [batch.run_on_host()]
    if shutil.which("arm-none-eabi-gcc") and shutil.which("qemu-system-arm"):
        results.append(batch.run_on_board("mps2-an500", tmp_path))
    for outputs in results:
        for wanted, output in zip(expected, outputs, strict=True):
            np.testing.assert_array_equal(output, wanted)
