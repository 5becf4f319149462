"""Within a memory budget, ``--tune`` counts the plans' cycles or instructions: the fewest win."""

from __future__ import annotations

import io
import json
from pathlib import Path
from shutil import which

import pytest
from rich.console import Console

import dero_tvm
from dero_tvm.report import Report
from dero_tvm.report.tuning_table import print_tuning
from tests.models.small_networks import residual_network

MISSING = [tool for tool in ("arm-none-eabi-gcc", "qemu-system-arm") if which(tool) is None]


@pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")
def test_the_fewest_are_taken(tmp_path: Path) -> None:
    budget = dero_tvm.compile(residual_network(), target="mps2-an500", dero="overlap")
    model = dero_tvm.compile(
        residual_network(),
        target="mps2-an500",
        memory_budget=budget.report.arena_bytes,
        tune=tmp_path / "kernels.json",
    )
    tuning = model.report.tuning
    assert tuning is not None
    plans = {plan.label: plan for plan in tuning.plans}
    assert len(plans) > 2 and "streamed" in plans
    assert {plan.unit for plan in tuning.plans} == {tuning.unit} <= {"cycles", "instructions"}
    best = min(plans.values(), key=lambda plan: plan.cost)
    assert model.report.chosen == best.label
    assert model.report.arena_bytes == best.arena_bytes
    assert Report.from_dict(json.loads(model.report.to_json())) == model.report
    text = io.StringIO()
    print_tuning(tuning, Console(file=text, width=80))
    assert best.label in text.getvalue() and f"{best.cost:,}" in text.getvalue()


def test_on_the_host_no_plan_is_measured(tmp_path: Path) -> None:
    model = dero_tvm.compile(
        residual_network(), memory_budget="1MB", tune=tmp_path / "kernels.json"
    )
    assert model.report.tuning is not None and model.report.tuning.plans == ()
    assert model.report.chosen == "whole tensors"
