"""Every join of a report names the pass, or the planner, that decided."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import helper

import dero_tvm
from dero_tvm.planning import plan_memory
from dero_tvm.report import Report
from relax_passes.canonicalization import commute_quantization, select_operators
from relax_passes.ir.decisions import LEFT_ALONE, decisions
from relax_passes.residuals import accumulate_residuals, identify_residuals
from relax_passes.streaming import stream_rows
from tests.end_to_end.qdq_models import QDQModel
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
        helper.make_node("Trilu", ["x"], ["a"]),  # which TVM compiles, over whole tensors
        helper.make_node("Add", ["a", "x"], ["b"]),
        helper.make_node("Trilu", ["b"], ["y"], upper=0),
    ]
    model = model_of(nodes, {"x": [1, 4, 4, 2]}, {"y": [1, 4, 4, 2]})
    compiled = dero_tvm.compile(model, dero="accumulate")
    (join,) = compiled.report.residuals
    (decision,) = (found for found in decisions(compiled.module) if found.join == join.join)
    assert (decision.pass_name, decision.action) == (accumulate_residuals.NAME, LEFT_ALONE)
    assert (join.action, join.decided_by) == ("in place", plan_memory.__name__)
    assert join.reason == "written over x"
    left = {o.name: (o.action, o.reason) for o in compiled.report.operators if o.decided_by}
    assert list(left.values()) == [
        (select_operators.LEFT_TO_TVM, "the operator set has no triu"),
        (select_operators.LEFT_TO_TVM, "the operator set has no tril"),
    ]


def test_a_join_that_is_kept_in_float_still_has_what_became_of_its_memory() -> None:
    model = QDQModel()
    x = model.rounded(model.input("x", (1, 2, 4, 4)), 0.05, np.int8(0))
    rectified = model.rounded(model.node("Relu", x), 0.1, np.int8(0))
    proto = model.build(y=(model.node("Max", x, rectified), "float32"))
    report = dero_tvm.compile(proto, dero="none").report
    (join,) = report.residuals
    assert join.decided_by in (identify_residuals.NAME, plan_memory.__name__)
    (operator,) = (o for o in report.operators if o.name == join.join)
    assert operator.decided_by == commute_quantization.NAME
    assert operator.action == commute_quantization.KEPT_IN_FLOAT
