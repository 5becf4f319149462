"""The command that runs the C of model files under sanitizers and between guards."""

from __future__ import annotations

import dataclasses
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.campaigns import sanitized_models
from tests.campaigns.sanitized_models import Checked
from tests.tiny_models import residual, save

needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="not installed: gcc")


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sanitized_models, "COMPILERS", ("gcc",))
    monkeypatch.setattr(sanitized_models, "BOARDS", ())
    return save(residual(), tmp_path / "tiny.onnx")


@needs_gcc
def test_a_model(model: Path) -> None:
    counts: Counter[str] = Counter()
    Checked(model, counts).run()
    assert counts == {"sanitized programs": 3}


@needs_gcc
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"guard_ok": False, "guard_report": "arena 1"}, "none, gcc: arena 1"),
        ({"outputs": [{"scores": np.full((1, 4, 8, 8), 9.0, "float32")}]}, "scores differs by"),
    ],
)
def test_what_it_finds(
    model: Path, monkeypatch: pytest.MonkeyPatch, change: dict, message: str
) -> None:
    run, runs = sanitized_models.run_host_c, iter(range(9))

    def careless(*args, **options):
        result = run(*args, **options)
        return (
            dataclasses.replace(result, **change) if next(runs) or "guard_ok" in change else result
        )

    monkeypatch.setattr(sanitized_models, "run_host_c", careless)
    with pytest.raises(AssertionError, match=message):
        Checked(model, Counter()).run()
