"""The stack of a step counts every byte once, whichever buffers share it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dero_tvm.report import Report, ReportedBuffer, ReportedStep, Timeline
from dero_tvm.report.build_timeline import live_bytes
from dero_tvm.report.operators import Edge, ReportedOperator, edges
from tests.random_cases import cases

STEPS = 4


@st.composite
def timelines(draw: st.DrawFn) -> Timeline:
    buffers = []
    for number in range(draw(st.integers(0, 7))):
        first = draw(st.integers(0, STEPS - 1))
        buffers.append(
            ReportedBuffer(
                f"b{number}",
                f"b{number}",
                "intermediate",
                draw(st.integers(1, 40)),
                draw(st.sampled_from(["fast", "slow"])),
                draw(st.integers(0, 60)),
                first,
                draw(st.integers(first, STEPS - 1)),
            )
        )
    live = live_bytes(buffers, STEPS)
    steps = tuple(ReportedStep(f"s{i}", ("add",) * (i + 1), "", n, 0) for i, n in enumerate(live))
    return Timeline(200, {"fast": 100, "slow": 100}, steps, tuple(buffers))


def bytes_of(timeline: Timeline, index: int) -> np.ndarray:
    """One flag for each byte of both regions."""
    buffer = timeline.buffers[index]
    flags = np.zeros(200, bool)
    start = buffer.offset + (100 if buffer.region == "slow" else 0)
    flags[start : start + buffer.size] = True
    return flags


@cases(60, slow_to_draw=True)
@given(timelines())
def test_layers_count_each_byte_once(timeline: Timeline) -> None:
    for step in range(STEPS):
        seen = np.zeros(200, bool)
        for layer in timeline.layers(step):
            mine = bytes_of(timeline, layer.index)
            assert layer.bottom == seen.sum()
            assert layer.own == (mine & ~seen).sum()
            seen |= mine
        assert seen.sum() == timeline.steps[step].live_bytes


@cases(60, slow_to_draw=True)
@given(timelines())
def test_sharers_are_mutual(timeline: Timeline) -> None:
    for index, buffer in enumerate(timeline.buffers):
        for other in timeline.sharers(index):
            number = timeline.buffers.index(other)
            assert buffer in timeline.sharers(number)
            assert (bytes_of(timeline, index) & bytes_of(timeline, number)).any()


def test_a_cascade_is_as_wide_as_its_operators() -> None:
    steps = tuple(ReportedStep("s", ("add",) * n, "", 0, 0) for n in (1, 3, 2))
    assert Timeline(0, {}, steps, ()).starts == (0, 1, 4, 6)
    assert Timeline(0, {}, (), ()).starts == (0,)
    assert ReportedStep("s", ("conv2d", "conv2d", "add"), "", 0, 0).summary == "2 conv2d + add"


def test_plans_of_a_residual_network(reports: dict[str, Report]) -> None:
    for dero, report in reports.items():
        for timeline in (report.timeline, report.whole, report.plain):
            assert timeline.steps[timeline.peak].live_bytes <= timeline.arena_bytes
            for step, planned in enumerate(timeline.steps):
                layers = list(timeline.layers(step))
                assert sum(layer.own for layer in layers) == planned.live_bytes, dero
        assert report.whole.arena_bytes == report.whole_bytes
        assert report.plain.arena_bytes == report.plain_bytes
        assert Report.from_dict(json.loads(report.to_json())) == report


def test_what_waits_for_a_join(reports: dict[str, Report]) -> None:
    """The fork is in use where the first convolution reads it; then only the addition needs it."""
    whole = reports["none"].whole
    (waiting,) = (buffer for buffer in whole.buffers if buffer.waits)
    kinds = [step.operators for step in whole.steps]
    second = [i for i, names in enumerate(kinds) if names == ("conv2d",)][1]
    assert waiting.waits == (second, second + 1)
    assert kinds[second + 1] == ("add",)
    assert waiting.role(second) == "shortcut" and waiting.role(second - 1) == "intermediate"
    assert not any(buffer.waits for buffer in reports["none"].plain.buffers)


def test_operators_and_edges(report: Report) -> None:
    names = [operator.operator for operator in report.operators]
    assert names[0] == "input" and names.count("conv2d") == 2 and names.count("add") == 1
    classes = {operator.operator: operator.memory_class for operator in report.operators}
    assert classes["add"] == "elementwise" and classes["conv2d"].endswith(" convolution")
    assert all(classes[name] for name in names if name != "input")
    known: set[str] = set()
    for operator in report.operators:
        assert set(operator.operands) <= known
        known.add(operator.name)
    paths = [(r.join, path) for r in report.residuals for path in r.shortcuts]
    (shortcut,) = (edge for edge in edges(report.operators, paths) if edge.join)
    assert names[shortcut.target] == "add"
    assert shortcut.target - shortcut.source == 3


def test_edges_of_a_projection() -> None:
    operators = [
        ReportedOperator(name, "conv2d", "", 0, operands)
        for name, operands in (("x", ()), ("a", ("x",)), ("p", ("x",)), ("y", ("a", "p")))
    ]
    assert edges(operators, [("y", ("x", "p", "y"))]) == [
        Edge(0, 1),
        Edge(0, 2, "y"),
        Edge(1, 3),
        Edge(2, 3, "y"),
    ]


@pytest.mark.parametrize("key", ["steps", "whole", "operators"])
def test_damaged_reports_are_refused(report: Report, key: str) -> None:
    data = json.loads(report.to_json())
    del data[key]
    with pytest.raises((KeyError, TypeError)):
        Report.from_dict(data)
    with pytest.raises((KeyError, TypeError, ValueError)):
        Report.from_dict({**data, key: 7})
