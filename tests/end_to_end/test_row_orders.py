"""Programs whose rows are made in another order than their readers ask for them."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import tvm

import dero_tvm
from dero_tvm.aot import program
from dero_tvm.driver import network_planner
from dero_tvm.driver.candidates import Candidate, Candidates
from dero_tvm.driver.dero_levels import Dero
from dero_tvm.driver.network_planner import NetworkPlanner
from dero_tvm.planning.budget import Budget
from dero_tvm.planning.plan import MemoryPlan
from dero_tvm.planning.rows import plan as row_plan
from dero_tvm.planning.rows.order import operations_of
from dero_tvm.planning.rows.plan import RowPlan
from dero_tvm.planning.rows.problem import RowProblem, RowRange
from dero_tvm.runners.host_c import run_host_c
from dero_tvm.schedule.to_problem import Scheduled
from tests.small_networks import Builder, image_to_image, residual_network, two_images


def pyramid() -> tvm.IRModule:
    """Convolutions whose cascades save memory when they run into each other: x [1, 32, 32, 4]."""
    net = Builder(("x", (1, 32, 32, 4)))
    value = net.inputs[0]
    layers = [(16, 3, 2), (8, 1, 1), (16, 3, 1), (16, 3, 2), (32, 3, 1), (64, 3, 2)]
    for number, (channels, kernel, stride) in enumerate(layers):
        value = net.conv(f"conv{number}", value, channels, kernel, stride)
    return net.build(net.pool("pooled", value))


def branches() -> tvm.IRModule:
    """Two outputs and a reduction, of one image: x [1, 12, 12, 3]."""
    net = Builder(("x", (1, 12, 12, 3)))
    stem = net.conv("stem", net.inputs[0], 6)
    left, right = net.conv("left", stem, 6), net.conv("right", stem, 6)
    joined = net.add("joined", left, right)
    return net.build(net.conv("mask", joined, 2), net.pool("pooled", net.conv("deep", right, 5)))


NETWORKS = {
    "residual": (residual_network, {}),
    "residual by rows": (residual_network, {"stream_input": True}),
    "image to image by rows": (image_to_image, {"stream_input": True, "stream_output": True}),
    "two images": (two_images, {}),
    "two images by rows": (two_images, {"stream_input": True, "stream_output": True}),
    "two images, kept": (two_images, {"keep_inputs": True}),
    "two images outside": (two_images, {"external_io": True}),
    "branches": (branches, {}),
    "branches by rows": (branches, {"stream_input": True}),
}


def data_of(model: dero_tvm.CompiledModel) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    return {
        port.name: rng.integers(-128, 128, port.shape).astype(port.dtype)
        for port in model.archive.inputs
    }


def source_of(model: dero_tvm.CompiledModel) -> str:
    return model.archive.c_sources()["default_lib1.c"].decode()


def assert_as_whole(model: dero_tvm.CompiledModel, module: tvm.IRModule) -> None:
    """The program computes what that of whole tensors does, compiled from C and on the host."""
    data = data_of(model)
    expected = dero_tvm.compile(module, dero="none").run(data)
    compiled = run_host_c(model.archive, [data], sanitize=True)
    assert compiled.guard_ok
    for found in (model.run(data), compiled.outputs[0]):
        assert found.keys() == expected.keys()
        for name, values in expected.items():
            np.testing.assert_array_equal(found[name], values, err_msg=name)


@pytest.fixture
def in_any_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiles streamed networks with their rows in a random order, however much it needs."""
    generator = random.Random(7)

    def plan_rows(problem: RowProblem, budget: Budget) -> RowPlan:
        ordered = shuffled(problem, generator)
        monkeypatch.setattr(row_plan, "good_orders", lambda *_: [ordered])
        monkeypatch.setattr(row_plan, "place_rows", worse_for(problem))
        return plan(problem, budget)

    def worse_for(problem: RowProblem):
        own = row_plan.lives_of(problem)

        def placed(lives, unit, budget):  # type: ignore[no-untyped-def]
            found = place_rows(lives, unit, budget)
            more = 1 << 20 if lives == own else 0
            return replace(found, height=found.height + more)

        return placed

    def by_rows(self: NetworkPlanner, scheduled: Scheduled, plan: MemoryPlan) -> MemoryPlan | None:
        return plan_by_rows(self, scheduled, replace(plan, arena_bytes={"sram": 1 << 30}))

    def of(self: Candidates, mode: Dero, below: int | None = None) -> Iterator[Candidate]:
        found = list(candidates_of(self, Dero.STREAM))
        return (candidate for candidate in found if candidate.plan.rows is not None)

    plan, place_rows = row_plan.plan_rows, row_plan.place_rows
    plan_by_rows, candidates_of = NetworkPlanner.plan_by_rows, Candidates.of
    monkeypatch.setattr(network_planner, "plan_rows", plan_rows)
    monkeypatch.setattr(NetworkPlanner, "plan_by_rows", by_rows)
    monkeypatch.setattr(Candidates, "of", of)


def shuffled(problem: RowProblem, generator: random.Random) -> RowProblem:
    """A random order in which every call finds what it reads."""
    waiting = [list(sequence) for sequence in operations_of(problem).values()]
    writers: dict[tuple[int, int], list[int]] = {}
    before: list[set[int]] = []
    readers: dict[tuple[int, int], list[int]] = {}
    for number, call in enumerate(problem.calls):
        reads, writes = rows(call.reads), rows(call.writes)
        earlier = {w for row in (*reads, *writes) for w in writers.get(row, ())}
        before.append(earlier | {r for row in writes for r in readers.get(row, ())})
        for row in reads:
            readers.setdefault(row, []).append(number)
        for row in writes:
            writers.setdefault(row, []).append(number)
    order: list[int] = []
    while any(waiting):
        ready = [sequence for sequence in waiting if sequence and before[sequence[0]] <= {*order}]
        order.append(generator.choice(ready).pop(0))
    return replace(problem, calls=tuple(problem.calls[number] for number in order))


def rows(ranges: tuple[RowRange, ...]) -> list[tuple[int, int]]:
    return [(r.tensor, row) for r in ranges for row in range(r.first, r.end)]


@pytest.mark.parametrize("case", NETWORKS)
@pytest.mark.usefixtures("in_any_order")
def test_rows_in_any_order(case: str) -> None:
    make, options = NETWORKS[case]
    model = dero_tvm.compile(make(), dero="stream", **options)
    assert "switch (" in source_of(model)
    assert_as_whole_outside(model, make())


def assert_as_whole_outside(model: dero_tvm.CompiledModel, module: tvm.IRModule) -> None:
    with pytest.MonkeyPatch.context() as undo:
        undo.setattr(Candidates, "of", ORIGINAL_OF)
        assert_as_whole(model, module)


ORIGINAL_OF = Candidates.of


@pytest.fixture(scope="module")
def ordered() -> dero_tvm.CompiledModel:
    return dero_tvm.compile(pyramid(), stream_input=True)


def test_cascades_that_run_into_each_other(ordered: dero_tvm.CompiledModel) -> None:
    """They need less, are one step, and the list of their calls is a byte for each."""
    rows = ordered.plan.rows
    assert rows is not None
    (joined,) = [run for run in rows.runs if run.end - run.first > 1]
    source = source_of(ordered)
    entries = int(re.search(r"extern const uint8_t \w+_calls_\d\[(\d+)\];", source)[1])
    assert entries in {len(run.calls) for run in rows.runs}
    assert "switch (" in source and "default:" in source
    assert len(ordered.report.steps) == len(rows.runs) == len(ordered.archive.steps)
    name = ordered.report.steps[rows.runs.index(joined)].name
    assert "_to_" in name and name in ordered.archive.steps
    written = replace(rows.problem, calls=tuple(sorted_by_cascade(rows.problem)))
    assert rows.live_bytes < row_plan.lives_of(written).peak
    assert_as_whole(ordered, pyramid())


def sorted_by_cascade(problem: RowProblem):  # type: ignore[no-untyped-def]
    """The calls of the same order with the cascades one after the other."""
    return sorted(problem.calls, key=lambda call: call.step)


def test_a_profile_has_the_steps_of_the_report(ordered: dero_tvm.CompiledModel) -> None:
    result = run_host_c(ordered.archive, [data_of(ordered)], profile=True)
    assert len(result.profile.ticks[0]) == len(ordered.report.steps)


def test_lists_of_more_than_a_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "_STAGES_IN_A_BYTE", 1)
    model = dero_tvm.compile(pyramid(), stream_input=True)
    assert re.search(r"extern const uint16_t \w+_calls_\d\[\d+\];", source_of(model))
    assert_as_whole(model, pyramid())
