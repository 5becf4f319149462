"""Faults of compilers that generated C has to work around."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest
from tvm import relax

import dero_tvm
from dero_tvm.aot import c_source
from dero_tvm.runners import run_host_c
from tests.aot.networks import module_of
from tests.campaigns.random_levels import SEPARATE_STEPS

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")


def _normalized(builder: relax.BlockBuilder, x: relax.Expr) -> relax.Expr:
    """Over the last axis: not to be exchanged with a transpose."""
    (last,) = x.ty.shape.values[-1:]
    ones, zeros = (relax.const(np.full(int(last), value, "float32")) for value in (1, 0))
    return builder.emit(relax.op.nn.layer_norm(x, ones, zeros, axes=[-1]))


def _transposed(builder: relax.BlockBuilder, x: relax.Var) -> relax.Expr:
    x = _normalized(builder, _normalized(builder, x))
    x = builder.emit(relax.op.permute_dims(x, [1, 0]))
    return relax.op.nn.relu(_normalized(builder, _normalized(builder, x)))


def _largest_difference() -> float:
    """Between gcc's programs with optimization and without it."""
    module = module_of((96, 4), "float32", _transposed)
    archive = dero_tvm.compile(module, dero="stream").archive
    inputs = {"x": np.random.default_rng(0).standard_normal((96, 4)).astype("float32")}
    plain, optimized = (
        run_host_c(archive, [inputs], compiler="gcc", flags=flags).outputs[0]
        for flags in (("-O0",), ("-O2", *SEPARATE_STEPS))
    )
    ((name, expected),) = plain.items()
    return float(np.abs(optimized[name] - expected).max())


def test_gcc_drops_no_step() -> None:
    assert _largest_difference() == 0


def test_gcc_drops_a_step_that_is_not_guarded(monkeypatch: pytest.MonkeyPatch) -> None:
    version = subprocess.run(["gcc", "-dumpversion"], capture_output=True, text=True, check=True)
    if int(version.stdout.split(".")[0]) != 12:
        pytest.skip("not the gcc that was seen to do so")
    monkeypatch.setattr(c_source, "guarded", lambda text: text + "\n")
    assert _largest_difference() > 0.1
