"""Outputs of one network on several cores, which have kernels of their own."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dero_tvm.runners import RunResult

TOLERANCE = 1e-5  # of the largest number in a floating-point tensor

Outputs = Mapping[str, np.ndarray]


def guarded_outputs(label: str, result: RunResult) -> Outputs:
    """Of a run's one inference; AssertionError if it wrote beside an arena."""
    assert result.guard_ok, f"{label}: {result.guard_report}"
    (outputs,) = result.outputs
    return outputs


def assert_equal_outputs(label: str, found: Outputs, expected: Outputs) -> None:
    """Integers are equal bit by bit, floating point to `TOLERANCE`; NaN never is."""
    for name, array in expected.items():
        tolerance = TOLERANCE if array.dtype.kind == "f" else 0
        scale = np.abs(array.astype("float64")).max(initial=0)
        worst = np.abs(found[name].astype("float64") - array).max(initial=0)
        assert worst <= tolerance * scale, f"{label}: output {name} differs by {worst:g}"
