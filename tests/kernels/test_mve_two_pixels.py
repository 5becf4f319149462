"""Functions for two pixels of convolutions with Helium: those that are assembly, on a board."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from relax_passes.operators import TensorSpec
from tests.compiled.kernel_batch import KernelBatch
from tests.kernels.mve_cases import Case, _constants

_TOOLS = ("arm-none-eabi-gcc", "qemu-system-arm")
_MISSING = [tool for tool in _TOOLS if shutil.which(tool) is None]
# Channels, kernel, width, filters, padding of columns: a function for each length of a run.
_LAYERS = {
    "1": (16, 1, 4, 8, 0),
    "2": (32, 1, 5, 5, 0),
    "3": (16, 3, 6, 4, 1),
    "4": (64, 1, 3, 12, 0),
    "by_1": (112, 1, 2, 4, 0),
    "by_2": (128, 1, 5, 4, 0),
    "by_3": (32, 3, 7, 6, 1),
    "rest": (24, 3, 5, 7, 1),
    "only_rest": (8, 1, 7, 9, 0),
    "alone": (20, 3, 3, 6, 0),
}


def _case(name: str, rounding: str) -> Case:
    channels, kernel, width, filters, padding = _LAYERS[name]
    constants = _constants(len(name), (filters, kernel, kernel, channels), "usual", 0.2)
    attrs = {
        "strides": (1, 1),
        "padding": (padding,) * 4,
        "dilation": (1, 1),
        "input_zero_point": -3,
        "output_zero_point": 5,
        "minimum": -100,
        "maximum": 110,
        "rounding": rounding,
        "out_pixel_stride": filters,
    }
    data = TensorSpec((1, 3, width, channels), "int8")
    return Case("conv2d", (data,), constants, attrs, seed=channels)


@pytest.mark.skipif(bool(_MISSING), reason=f"not installed: {', '.join(_MISSING)}")
def test_bits_on_a_board(tmp_path: Path) -> None:
    batch = KernelBatch()
    expected = []
    for rounding in ("double", "single"):
        for name in _LAYERS:
            case = _case(name, rounding)
            native = case.native()
            assert native.kernel is not None
            if name != "alone":
                assert f"mve_two_{rounding}_{name})" in native.kernel.text(), name
            batch.add(native, case.data, 3)
            expected.append(case.expected())
    for found, wanted in zip(batch.run_on_board("mps3-an547", tmp_path), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)
