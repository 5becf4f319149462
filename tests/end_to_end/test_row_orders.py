"""Programs whose rows are made in another order than their readers ask for them."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tvm

import dero_tvm
from dero_tvm.aot import program
from dero_tvm.driver.candidates import Candidate, Candidates
from dero_tvm.driver.dero_levels import Dero
from dero_tvm.planning.budget import Budget
from dero_tvm.planning.rows import plan as row_plan
from dero_tvm.planning.rows.lives import Lives, lives_of
from dero_tvm.planning.rows.order import operations_of
from dero_tvm.planning.rows.placement import Placed
from dero_tvm.planning.rows.problem import RowProblem, RowRange
from dero_tvm.runners.host_c import run_host_c
from tests.models.small_networks import Builder, image_to_image, residual_network, two_images


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


NETWORKS: dict[str, tuple[Callable[[], tvm.IRModule], dict[str, Any]]] = {
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


@contextmanager
def in_any_order(seed: int = 7) -> Iterator[None]:
    """Networks are compiled with their rows in a random order, however much that needs."""
    generator = random.Random(seed)
    candidates_of, place_rows = Candidates.of, row_plan.place_rows
    written: list[Lives] = []

    def good_orders(problem: RowProblem, budget: Budget, _: int | None) -> list[RowProblem]:
        written.append(lives_of(problem))
        return [shuffled(problem, generator)]

    def placed(lives: Lives, unit: int, budget: Budget) -> Placed:
        found = place_rows(lives, unit, budget)
        return replace(found, height=1 << 24) if lives in written[-1:] else found

    def of(self: Candidates, mode: Dero, below: int | None = None) -> Iterator[Candidate]:
        return candidates_of(self, mode) if mode is Dero.STREAM else iter(())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_plan, "good_orders", good_orders)
        patch.setattr(row_plan, "place_rows", placed)
        for search in ("fitted", "fitted_from_the_middle", "lowered"):
            patch.setattr(row_plan, search, lambda *_: None)
        patch.setattr(row_plan, "other_orders", lambda *_: [])
        patch.setattr(Candidates, "of", of)
        patch.setattr(Candidates, "_in_rings", lambda *_: iter(()))
        yield


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
def test_rows_in_any_order(case: str) -> None:
    make, options = NETWORKS[case]
    with in_any_order():
        model = dero_tvm.compile(make(), dero="stream", **options)
    assert "switch (" in source_of(model)
    assert_as_whole(model, make())


@pytest.mark.parametrize("options", [{"external_io": True}, {}])
def test_outputs_outside_that_are_read_keep_the_order(options: dict[str, Any]) -> None:
    """Which calls wait for rows outside the arena is not known where rows are ordered."""

    def network() -> tvm.IRModule:
        net = Builder(("x", (1, 12, 12, 3)))
        stem = net.conv("stem", net.inputs[0], 4)
        return net.build(stem, net.conv("mask", net.conv("deep", stem, 6), 2))

    with in_any_order():
        model = dero_tvm.compile(network(), dero="stream", **options)
    assert ("switch (" in source_of(model)) is (not options)
    assert_as_whole(model, network())


def list_of(model: dero_tvm.CompiledModel, dtype: str) -> int:
    """The length of the one list of calls, whose entries are of `dtype`."""
    lengths = re.findall(rf"extern const {dtype}_t \w+_calls_\d+\[(\d+)\];", source_of(model))
    (length,) = map(int, lengths)
    return length


def test_cascades_that_run_into_each_other() -> None:
    """They are one step to reports and profiles, and each of their calls is a byte in flash."""
    with in_any_order(seed=0):
        model = dero_tvm.compile(branches(), dero="stream", stream_input=True)
    (run,) = model.plan.runs
    assert run.end - run.first == len(model.network.cascades) > 1
    first, *_, last = (cascade.name for cascade in model.network.cascades)
    (step,) = model.report.steps
    assert model.archive.steps == (step.name,) == (f"{first}_to_{last}",)
    operators = [operator for operator in model.report.operators if operator.step == 0]
    assert len(step.operators) == len(operators)
    assert list_of(model, "uint8") == len(run.calls)
    result = run_host_c(model.archive, [data_of(model)], profile=True)
    assert result.profile is not None and len(result.profile.ticks[0]) == 1


@pytest.mark.parametrize(("most", "dtype"), [(1 << 8, "uint8"), (2, "uint16")])
def test_an_order_that_needs_less(most: int, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Than that in which readers ask for rows; with many stages, entries have two bytes."""
    monkeypatch.setattr(program, "_STAGES_IN_A_BYTE", most)
    model = dero_tvm.compile(pyramid(), stream_input=True)
    (run,) = (run for run in model.plan.runs if run.calls)
    assert list_of(model, dtype) == len(run.calls)
    assert_as_whole(model, pyramid())
    monkeypatch.setattr(row_plan, "good_orders", lambda *_: [])
    on_demand = dero_tvm.compile(pyramid(), stream_input=True)
    assert model.report.arena_bytes < on_demand.report.arena_bytes
    assert "switch (" not in source_of(on_demand)
