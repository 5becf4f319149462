"""Every join of a report names the pass, or the planner, that decided."""

from __future__ import annotations

import pytest
from onnx import helper

import dero_tvm
from dero_tvm.planning import plan_memory
from dero_tvm.report import Report
from relax_passes.ir.decisions import decisions
from relax_passes.residuals import accumulate_residuals, identify_residuals
from relax_passes.streaming import stream_rows
from tests.models.tiny_models import model_of


@pytest.mark.parametrize(
    ("dero", "decided_by"),
    [
        ("none", identify_residuals.NAME),
        ("accumulate", accumulate_residuals.NAME),
        ("stream", stream_rows.NAME),
    ],
)
def test_who_decided(reports: dict[str, Report], dero: str, decided_by: str) -> None:
    assert {join.decided_by for join in reports[dero].residuals} == {decided_by}


def test_what_the_planner_made_of_a_join_that_passes_left_alone() -> None:
    nodes = [
        helper.make_node("Sin", ["x"], ["a"]),  # which TVM compiles, over whole tensors
        helper.make_node("Add", ["a", "x"], ["b"]),
        helper.make_node("Cos", ["b"], ["y"]),
    ]
    model = model_of(nodes, {"x": [1, 4, 4, 2]}, {"y": [1, 4, 4, 2]})
    compiled = dero_tvm.compile(model, dero="accumulate")
    (decision,) = decisions(compiled.module)
    (join,) = compiled.report.residuals
    assert (decision.action, decision.join) == ("left alone", join.join)
    assert (join.action, join.decided_by) == ("in place", plan_memory.__name__)
    assert join.reason == "written over x"
