"""Long work says how much of it is done."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dero_tvm
from dero_tvm.boards.board import load_board
from dero_tvm.boundary.input_arrays import random_inputs
from tests.models.tiny_models import residual, save

BOARDS = [load_board(name) for name in ("mps2-an385", "mps2-an386", "nrf52840dk")]


def quantize(model: Path, progress: Callable[[str], None]) -> None:
    rng, ports = np.random.default_rng(0), dero_tvm.load(model).inputs
    dero_tvm.quantize(model, [random_inputs(ports, rng) for _ in range(3)], progress=progress)


@pytest.mark.parametrize(
    ("ask", "parts"),
    [
        (lambda model, **told: dero_tvm.sweep(model, device="none", limits=2, **told), 2),
        (lambda model, **told: dero_tvm.fit(model, boards=BOARDS, **told), 3),
        (lambda model, **told: dero_tvm.advise(model, target="nrf52840dk", **told), None),
        (quantize, 3),
    ],
    ids=["sweep", "fit", "advise", "quantize"],
)
def test_shares_grow_to_the_whole(ask: Callable[..., Any], parts: int | None, tmp_path: Path):
    stages: list[str] = []
    ask(save(residual(), tmp_path / "tiny.onnx"), progress=stages.append)
    shares = [tuple(map(int, s)) for s in re.findall(r"\((\d+) of (\d+)\)", "\n".join(stages))]
    assert shares == sorted(shares) and len({whole for _, whole in shares}) == 1
    done, whole = shares[-1]
    assert done == whole >= 2 and whole == (parts or whole)
    assert {part for part, _ in shares} == set(range(1, whole + 1))
