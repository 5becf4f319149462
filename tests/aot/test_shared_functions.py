"""Layers that are one function in C though what they need of shared code differs."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
import tvm
from tvm import relax

import dero_tvm
from dero_tvm.boards.board import load_board
from dero_tvm.runners import run_host_c
from relax_passes.operators import make_call
from tests.aot.networks import module_of

CHANNELS = 6
SHIFTS = {"twice": -6, "any": 2}  # a factor above 1 is not rounded by 32-bit arithmetic


def _layers(*shifts: int) -> tvm.IRModule:
    """Pointwise convolutions of one shape."""
    rng = np.random.default_rng(0)

    def body(builder: relax.BlockBuilder, x: relax.Expr) -> relax.Expr:
        for shift in shifts:
            arrays = [
                rng.integers(-127, 128, (CHANNELS, 1, 1, CHANNELS)).astype("int8"),
                rng.integers(-500, 500, CHANNELS).astype("int32"),
                np.full(CHANNELS, 1 << 30, "int32"),
                np.full(CHANNELS, shift, "int32"),
            ]
            x = builder.emit(make_call("conv2d", [x, *map(relax.const, arrays)]))
        return make_call("reshape", [x], shape=(1, 4 * 4 * CHANNELS))

    return module_of((1, 4, 4, CHANNELS), "int8", body)


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
@pytest.mark.parametrize("order", [("twice", "any"), ("any", "twice")], ids=" first, ".join)
def test_ways_of_rounding(order: tuple[str, str]) -> None:
    module = _layers(*(SHIFTS[way] for way in order))
    board = load_board("host")
    inputs = [{"x": np.random.default_rng(1).integers(-128, 128, (1, 4, 4, 6)).astype("int8")}]
    found = {}
    for core in ("host", "mps2-an386"):
        features = load_board(core).features
        archive = dero_tvm.compile(module, target=replace(board, features=features)).archive
        source = archive.c_sources()["default_lib1.c"].decode()
        found[core] = run_host_c(archive, inputs, sanitize=True).outputs[0]
    assert source.count("static void dsp_") and "WITH_ROUNDS_ANY 1" in source
    (expected,), (actual,) = (found[core].values() for core in ("host", "mps2-an386"))
    np.testing.assert_array_equal(actual, expected)
