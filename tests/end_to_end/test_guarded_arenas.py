"""The benchmark that runs networks in exactly their arenas: on a small one, and one it refuses."""

from __future__ import annotations

import dataclasses
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

import dero_tvm
from dero_tvm.boundary.input_arrays import random_inputs
from tests.tiny_models import residual

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")

ROOT = Path(__file__).resolve().parent.parent
DIGITS = ROOT / "examples" / "models" / "digits_int8.onnx"


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import guarded_arenas

    yield guarded_arenas
    for name in ("guarded_arenas", "published"):
        sys.modules.pop(name)


def test_row(benchmark):
    whole, streamed, bound, by_rows, by_rows_bound, count, outputs = benchmark.row(DIGITS, 1)
    sizes = [int(cell.replace(",", "")) for cell in (whole, streamed, by_rows)]
    assert sizes == sorted(sizes, reverse=True)
    assert (streamed, by_rows) == (bound, by_rows_bound)
    assert (count, outputs) == ("1", "equal")


def test_a_changed_guard(benchmark, monkeypatch):
    run = benchmark.run_host_c

    def careless(*args, **options):
        return dataclasses.replace(run(*args, **options), guard_ok=False, guard_report="arena 1")

    monkeypatch.setattr(benchmark, "run_host_c", careless)
    model = dero_tvm.compile(residual(), dero="none")
    with pytest.raises(SystemExit, match="arena 1"):
        benchmark.guarded(model, [random_inputs(model.archive.inputs, np.random.default_rng(0))])
