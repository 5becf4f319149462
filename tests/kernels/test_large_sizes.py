"""Kernels for Arm cores on tensors whose rows, pixels or channels are more than 16 bits count.

Where their structs have fields of 16 bits, such tensors are left to portable kernels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from relax_passes.operators import TensorSpec
from tests.native_kernel_runner import NativeKernel
from tests.row_kernel_runner import RowKernel

WIDE, LONG, DEEP = (1, 2, 33_000, 3), (1, 3, 320, 128), (1, 2, 2, 33_000)
WINDOW = {"padding": (1, 1, 1, 1), "strides": (1, 3)}
ZEROS = {"input_zero_point": -3, "output_zero_point": 5}
ADDITION = {
    "zero_points": (3, -7, 5),
    "multipliers": (1 << 30, 1_500_000_000, 1_200_000_000),
    "shifts": (0, -1, -18),
}
PRODUCT = {"zero_points": (3, -7, 5), "multiplier": 1_500_000_000, "shift": -6}
MEAN = {"kind": "mean", "axes": (1, 2), "multiplier": 1_500_000_000, "shift": -9}


def weights(filters: int, *shape: int) -> dict[str, np.ndarray]:
    """Constants of a layer with int8 weights of this shape, by filter."""
    rng = np.random.default_rng(1)
    mantissa, shift = np.frexp(np.full(filters, 0.3 / np.sqrt(np.prod(shape)) / 64))
    return {
        "weight": rng.integers(-50, 50, (filters, *shape)).astype(np.int8),
        "bias": rng.integers(-1000, 1000, filters).astype(np.int32),
        "multiplier": (mantissa * 2**31).astype(np.int32),
        "shift": shift.astype(np.int32),
    }


def float_weights(filters: int, *shape: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {
        "weight": rng.normal(size=(filters, *shape)).astype(np.float32),
        "bias": rng.normal(size=filters).astype(np.float32),
    }


Operation = tuple[str, list[tuple[int, ...]], dict[str, np.ndarray], dict[str, Any]]
INTEGER: dict[str, Operation] = {
    "convolution, wide": ("conv2d", [WIDE], weights(3, 3, 3, 3), WINDOW | ZEROS),
    "convolution, long rows": ("conv2d", [LONG], weights(3, 3, 3, 128), WINDOW | ZEROS),
    "pointwise, deep": ("conv2d", [DEEP], weights(2, 1, 1, 33_000), ZEROS),
    "depthwise, long rows": (
        "conv2d",
        [LONG],
        weights(128, 3, 3, 1),
        WINDOW | ZEROS | {"groups": 128},
    ),
    "depthwise, deep": (
        "conv2d",
        [DEEP],
        weights(33_000, 2, 2, 1),
        ZEROS | {"groups": 33_000},
    ),
    "dense, deep": ("dense", [(2, 33_000)], weights(3, 33_000), ZEROS),
    "maximum": ("pool2d", [LONG], {}, WINDOW | {"kind": "max", "pool_size": (3, 3)}),
    "average": ("pool2d", [LONG], {}, WINDOW | {"kind": "average", "pool_size": (3, 3)}),
    "average, deep": ("pool2d", [DEEP], {}, {"kind": "average", "pool_size": (2, 1)}),
    "average of all": ("pool2d", [LONG], {}, {"kind": "average", "pool_size": (3, 320)}),
    "mean, wide": ("reduce", [WIDE], {}, MEAN),
    "sum": ("add", [LONG, LONG], {}, ADDITION),
    "difference, wide": ("subtract", [WIDE, WIDE], {}, ADDITION),
    "product": ("multiply", [LONG, (1, 1, 1, 128)], {}, PRODUCT),
    "product, deep": ("multiply", [DEEP, DEEP], {}, PRODUCT),
    "table": ("lookup", [WIDE], {"table": np.arange(255, -1, -1).astype(np.int8)}, {}),
    "padding": ("pad", [LONG], {}, {"pad_before": (0, 1, 2, 0), "pad_after": (0, 0, 3, 0)}),
}
FLOAT: dict[str, Operation] = {
    "convolution, wide": ("conv2d", [WIDE], float_weights(3, 3, 3, 3), WINDOW),
    "convolution, long rows": ("conv2d", [LONG], float_weights(3, 3, 3, 128), WINDOW),
    "depthwise, long rows": (
        "conv2d",
        [LONG],
        float_weights(128, 3, 3, 1),
        {**WINDOW, "groups": 128},
    ),
    "dense, deep": ("dense", [(2, 33_000)], float_weights(3, 33_000), {}),
}


def outputs(operation: Operation, dtype: str, features: set[str]) -> tuple[np.ndarray, np.ndarray]:
    """Of the kernel for a core, or of none, and of the portable one."""
    name, shapes, constants, attrs = operation
    rng = np.random.default_rng(0)
    arrays = [rng.integers(-128, 128, shape).astype(dtype) for shape in shapes]
    operands = [*arrays, *constants.values()]
    specs = [TensorSpec(array.shape, str(array.dtype)) for array in operands]
    expected = RowKernel(name, specs, **attrs).run_rows(*operands)
    native = NativeKernel(name, specs, constants, features=features, **attrs)
    if native.kernel is None:
        return expected, expected
    return native.run_rows(*arrays, ring=1), expected


@pytest.mark.parametrize("feature", ["dsp", "mve"])
@pytest.mark.parametrize("case", INTEGER)
def test_int8(case: str, feature: str) -> None:
    found, expected = outputs(INTEGER[case], "int8", {feature})
    assert np.unique(expected).size > 1
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("case", FLOAT)
def test_float32(case: str) -> None:
    found, expected = outputs(FLOAT[case], "float32", {"fpu"})
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=np.abs(expected).max() * 1e-5)
