"""Kernels for DSP cores on emulated boards: what the instructions compute, not C in their place."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from dero_tvm.boards.board import ONE_PIPE, load_board
from relax_passes.operators import TensorSpec
from tests.compiled.kernel_batch import KernelBatch
from tests.compiled.native_kernel_runner import NativeKernel
from tests.compiled.row_kernel_runner import RowKernel
from tests.kernels.test_dsp_kernels import convolutions, pixels_of_eight_channels
from tests.random_cases import cases

_TOOLS = ("arm-none-eabi-gcc", "qemu-system-arm")
_MISSING = [tool for tool in _TOOLS if shutil.which(tool) is None]
_PIPES = {
    "mps2-an385": False,
    "mps2-an386": True,
    "mps2-an505": True,
    "mps2-an500": False,
    "mps3-an547": False,
}


def test_cores() -> None:
    """Boards whose core has one pipe, and the loads and products of the extension."""
    assert {name: ONE_PIPE in load_board(name).kernel_features for name in _PIPES} == _PIPES


@pytest.mark.skipif(bool(_MISSING), reason=f"not installed: {', '.join(_MISSING)}")
@pytest.mark.parametrize("name", ["mps2-an386", "mps2-an500"])
def test_bits(name: str, tmp_path: Path) -> None:
    """Cores with one pipe, which have loops of their own, and with two."""
    features = load_board(name).kernel_features - {"fpu", "fpu-double"}
    assert (ONE_PIPE in features) == (name == "mps2-an386")
    batch = KernelBatch()
    expected = []
    for kind in (convolutions(), convolutions(depthwise=True), pixels_of_eight_channels()):

        @given(kind)
        @cases(10)
        def each(case: dict[str, Any]) -> None:
            operands = list(case["constants"].values())
            specs = [case["data"], *(TensorSpec(a.shape, str(a.dtype)) for a in operands)]
            native = NativeKernel(
                "conv2d", specs, case["constants"], features=features, **case["attrs"]
            )
            if native.kernel is None:
                return
            data = case["rng"].integers(-128, 128, case["data"].shape).astype(np.int8)
            batch.add(native, [data], case["ring"])
            expected.append(RowKernel("conv2d", specs, **case["attrs"]).run_rows(data, *operands))

        each()
    assert len(expected) > 10
    for found, wanted in zip(batch.run_on_board(name, tmp_path), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)
