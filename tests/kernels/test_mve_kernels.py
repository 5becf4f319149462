"""Kernels for Helium cores: the bits of the portable kernels, on random operations.

The same operations run twice: on the host, where plain C stands for the vector instructions, and
on an emulated Cortex-M55.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relax_passes.operators import TensorSpec
from tests.compiled.kernel_batch import KernelBatch
from tests.kernels.mve_cases import KINDS, Case
from tests.random_cases import cases

COUNTS = {"convolution": 14, "depthwise convolution": 10}
BOARD = "mps3-an547"


@pytest.mark.parametrize("kind", KINDS)
def test_bits(kind: str, tmp_path: Path) -> None:
    drawn: list[tuple[Case, int]] = []

    @given(KINDS[kind], st.integers(0, 2))
    @cases(COUNTS.get(kind, 6))
    def collect(case: Case, ring: int) -> None:
        drawn.append((case, ring))

    collect()
    batch = KernelBatch()
    for case, ring in drawn:
        native = case.native()
        assert native.kernel is not None, f"{case} is left to another kernel"
        batch.add(native, case.data, ring)
    results = [batch.run_on_host()]
    if shutil.which("arm-none-eabi-gcc") and shutil.which("qemu-system-arm"):
        results.append(batch.run_on_board(BOARD, tmp_path))
    for index, (case, _) in enumerate(drawn):
        expected = case.expected()
        for outputs in results:
            np.testing.assert_array_equal(outputs[index], expected, err_msg=str(case))


@pytest.mark.skipif(
    not (shutil.which("arm-none-eabi-gcc") and shutil.which("qemu-system-arm")),
    reason="not installed: arm-none-eabi-gcc or qemu-system-arm",
)
def test_last_elements_one_after_the_other(tmp_path: Path) -> None:
    """gcc 12 left out stores of what vectors under a mask read, in most such programs."""
    rng = np.random.default_rng(0)
    batch, drawn = KernelBatch(), []
    for seed in range(120):
        spec = TensorSpec((1, *rng.integers(1, 4, 2).tolist(), int(rng.integers(1, 20))), "int8")
        attrs = {
            "zero_points": (-128, int(rng.integers(-128, 128)), -128),
            "multipliers": (1 << 30, int(rng.integers(1 << 30, 1 << 31)), 1730959892),
            "shifts": (0, -2 - seed % 3, -20),
        }
        case = Case(("add", "subtract")[seed % 3 > 0], (spec, spec), {}, attrs, seed)
        batch.add(case.native(), case.data, ring=seed % 3)
        drawn.append(case)
    for case, output in zip(drawn, batch.run_on_board(BOARD, tmp_path)):
        np.testing.assert_array_equal(output, case.expected(), err_msg=str(case))
