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
from kernel_batch import KernelBatch
from mve_cases import KINDS, Case

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
    results = [batch.run_on_host(tmp_path)]
    if shutil.which("arm-none-eabi-gcc") and shutil.which("qemu-system-arm"):
        results.append(batch.run_on_board(BOARD, tmp_path))
    for index, (case, _) in enumerate(drawn):
        expected = case.expected()
        for outputs in results:
            np.testing.assert_array_equal(outputs[index], expected, err_msg=str(case))
