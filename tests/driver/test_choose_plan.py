"""Which of a network's plans is taken: the smallest, or the fastest that fits a budget."""

from __future__ import annotations

import re
from io import StringIO
from typing import Any

import numpy as np
import pytest
from rich.console import Console

import dero_tvm
from dero_tvm import Dero, UserError
from dero_tvm.driver import row_planner
from dero_tvm.driver.candidates import Candidate, Candidates
from dero_tvm.driver.choose_plan import fastest_within
from dero_tvm.driver.network_planner import NetworkPlanner
from dero_tvm.driver.prepare import prepare
from dero_tvm.driver.row_planner import reads_of_rows
from dero_tvm.planning.rows.plan import RowPlan
from dero_tvm.planning.rows.problem import RowProblem
from dero_tvm.report.text_table import print_report
from tests.compiled.models import compiled
from tests.models.small_networks import image, residual_network, run_reference

MODES = [mode.value for mode in Dero]


@pytest.fixture(scope="module")
def candidates() -> Candidates:
    return prepare(residual_network()).candidates()


def test_weights_are_no_rows_that_are_followed(candidates: Candidates) -> None:
    network = candidates.streamed_for_windows()
    assert network is not None
    calls = sum(op.in_schedule().steps for op in network.operations)
    assert calls <= reads_of_rows(network) <= 4 * calls  # windows are three rows high


def test_no_rows_are_placed_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    planned: list[RowProblem] = []
    search = row_planner.plan_rows

    def plan_rows(problem: RowProblem, *arguments: Any, **keywords: Any) -> RowPlan | None:
        planned.append(problem)
        return search(problem, *arguments, **keywords)

    monkeypatch.setattr(row_planner, "plan_rows", plan_rows)
    asked = list(prepare(residual_network()).candidates().of(Dero.STREAM))
    assert asked and planned
    assert all(one not in planned[:number] for number, one in enumerate(planned))


@pytest.fixture(scope="module")
def by_mode(candidates: Candidates) -> dict[str, list[Candidate]]:
    return {mode.value: list(candidates.of(mode)) for mode in Dero}


def least(made: list[Candidate]) -> int:
    return min(candidate.arena_bytes for candidate in made)


def labels(made: list[Candidate]) -> list[str]:
    return [candidate.label for candidate in made]


def without_limit(model: dero_tvm.CompiledModel) -> str:
    """What was chosen: ``streamed`` for ``streamed in 65,536``."""
    return model.report.chosen.split(" in ")[0]


def test_each_mode_saves_more(by_mode: dict[str, list[Candidate]]) -> None:
    sizes = [least(by_mode[mode]) for mode in MODES]
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) == len(sizes)
    assert [max(c.streamed_operators for c in by_mode[mode]) > 0 for mode in MODES] == [
        False,
        False,
        False,
        True,
    ]


@pytest.mark.parametrize("mode", MODES)
def test_without_a_budget_the_smallest_plan_is_taken(
    mode: str, by_mode: dict[str, list[Candidate]]
) -> None:
    model = compiled("residual module", dero=mode)
    assert model.report.dero == mode
    assert model.report.chosen in labels(by_mode[mode])
    assert model.report.arena_bytes == least(by_mode[mode])
    assert model.report.memory_budget is None


def test_streaming_is_the_default(by_mode: dict[str, list[Candidate]]) -> None:
    assert dero_tvm.compile(residual_network()).report.arena_bytes == least(by_mode["stream"])


@pytest.mark.parametrize("mode", MODES)
def test_within_a_budget_the_fastest_plan_is_taken(
    mode: str, by_mode: dict[str, list[Candidate]]
) -> None:
    size = least(by_mode[mode])
    exact = dero_tvm.compile(residual_network(), memory_budget=size)
    assert exact.report.memory_budget == size
    assert without_limit(exact) in labels(by_mode[mode])
    assert exact.report.arena_bytes <= size
    if mode != MODES[-1]:  # one byte less, and the next mode has to do
        tighter = dero_tvm.compile(residual_network(), memory_budget=size - 1)
        assert tighter.report.chosen.split(" in ")[0] in labels(
            by_mode[MODES[MODES.index(mode) + 1]]
        )
        assert tighter.report.arena_bytes < size


def test_a_budget_between_streams_fewer_operators(candidates: Candidates) -> None:
    whole, *_ = candidates.of(Dero.OVERLAP)
    smallest = next(candidates.of(Dero.STREAM))  # in rings, as within a budget
    middle = (whole.arena_bytes + smallest.arena_bytes) // 2
    model = dero_tvm.compile(residual_network(), memory_budget=middle)
    streamed = sum(len(step.operators) for step in model.report.steps if len(step.operators) > 1)
    assert 0 < streamed < smallest.streamed_operators
    assert smallest.arena_bytes < model.report.arena_bytes <= middle


def test_all_plans_compute_the_same_bits(by_mode: dict[str, list[Candidate]]) -> None:
    module, data = residual_network(), image((1, 24, 24, 3))
    expected = run_reference(module, data)
    assert len(np.unique(expected)) > 1
    for mode in MODES:
        model = dero_tvm.compile(module, memory_budget=least(by_mode[mode]))
        np.testing.assert_array_equal(model.run({"x": data})["output"], expected)


def test_the_error_says_what_the_least_is(by_mode: dict[str, list[Candidate]]) -> None:
    size = least(by_mode["stream"])
    message = (
        f"does not fit --memory-budget {size - 1:,} bytes within --max-recompute 1: the least "
        f"possible is {size:,} bytes at 1.00x multiply-accumulates, 1 more; it would at 1."
    )
    with pytest.raises(UserError, match=re.escape(message)):
        dero_tvm.compile(residual_network(), memory_budget=size - 1, max_recompute=1)


def test_only_what_cannot_be_in_one_cascade_is_passed_over(
    candidates: Candidates, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another error is the user's to know, not a reason to look at fewer plans."""

    def refuse(*_: object) -> None:
        raise UserError("layer 'stem' has a kernel that cannot be read")

    monkeypatch.setattr(NetworkPlanner, "without_kernels", refuse)
    for plans in (candidates.streamed(None), candidates.likely()):
        with pytest.raises(UserError, match="layer 'stem'"):
            list(plans)
    with pytest.raises(UserError, match="layer 'stem'"):
        candidates.streamed_for_windows()


def test_below_streaming_things_are_made_twice(by_mode: dict[str, list[Candidate]]) -> None:
    size = least(by_mode["stream"])
    model = dero_tvm.compile(residual_network(), memory_budget=size - 1)
    report, streamed = model.report, by_mode["stream"][-1]
    assert (report.chosen, streamed.arena_bytes) == ("in windows of columns", size)
    assert report.arena_bytes < size
    assert report.macs - report.macs_again == streamed.scheduled.network.macs
    assert report.macs == sum(step.macs for step in report.steps)
    ratio = f"{report.macs / (report.macs - report.macs_again):.2f}x multiply-accumulates"
    assert report.recompute == ratio and report.recompute[0] == "1"
    shown = Console(width=200, record=True, file=StringIO())
    print_report(report, shown)
    assert f"Chosen: in windows of columns, at {ratio}." in shown.export_text()
    assert ratio in report.to_html()
    (header,) = model.archive.c_headers().values()
    assert f"For that an inference takes {ratio}. */" in header.decode()
    module, data = residual_network(), image((1, 24, 24, 3))
    found = model.run({"x": data})["output"]
    np.testing.assert_array_equal(found, run_reference(module, data))


def test_the_cost_decides_among_all_plans_that_fit(
    candidates: Candidates, by_mode: dict[str, list[Candidate]]
) -> None:
    budget = least(by_mode["accumulate"])
    asked = []

    def later_is_cheaper(candidate: Candidate) -> int:
        asked.append(candidate)
        return -len(asked)

    chosen = fastest_within(candidates, Dero.STREAM, budget, later_is_cheaper)
    assert chosen is asked[-1]
    assert {c.mode for c in asked} == {Dero.ACCUMULATE, Dero.OVERLAP, Dero.STREAM}
    assert all(c.arena_bytes <= budget for c in asked)
    assert len({(c.arena_bytes, c.streamed_operators) for c in asked}) == len(asked)
    assert fastest_within(candidates, Dero.STREAM, budget, lambda c: 7).mode is Dero.ACCUMULATE


def test_a_mode_limits_what_a_budget_may_cause(by_mode: dict[str, list[Candidate]]) -> None:
    size = least(by_mode["accumulate"])
    fits = dero_tvm.compile(residual_network(), dero="accumulate", memory_budget=size)
    assert fits.report.chosen == "accumulated"
    with pytest.raises(UserError, match=f"is {size:,} bytes, 1 more; use --dero stream, or raise"):
        dero_tvm.compile(residual_network(), dero="accumulate", memory_budget=size - 1)


def test_inputs_outside_the_arena_do_not_count() -> None:
    inside = compiled("residual module")
    outside = dero_tvm.compile(residual_network(), external_io=True)
    assert outside.report.arena_bytes < inside.report.arena_bytes
    budget = outside.report.arena_bytes
    model = dero_tvm.compile(residual_network(), external_io=True, memory_budget=budget)
    assert model.report.arena_bytes == budget


def test_unknown_mode() -> None:
    with pytest.raises(UserError, match=r"--dero rows: .*none, accumulate, overlap, stream"):
        dero_tvm.compile(residual_network(), dero="rows")
