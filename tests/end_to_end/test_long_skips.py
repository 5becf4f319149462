"""A budget for which long skips are made again: the same bits, and work that is said."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import dero_tvm
from dero_tvm.driver.choose_plan import plans_in_windows, smallest
from dero_tvm.driver.dero_levels import Dero
from dero_tvm.driver.generate import program_of
from dero_tvm.driver.prepare import prepare
from dero_tvm.schedule.column_groups import extra_macs
from examples.models.unet import unet
from tests.compiled.c_batch import CBatch

TIME_LIMIT = 0.2  # seconds a plan: these are not about the best one
pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")


@pytest.fixture(scope="module")
def network():
    return unet(resolution=32, widths=(8, 8, 8))


def test_same_bits_in_less_memory_for_the_work_that_is_said(network, tmp_path: Path):
    prepared = prepare(network, input_layout="nhwc", time_limit=TIME_LIMIT)
    candidates = prepared.candidates()
    without = smallest(candidates, Dero.STREAM)
    plans = plans_in_windows(candidates)
    assert plans is not None
    point = next(point for point in plans.points if point.way.again)
    again = plans.made(point, candidates.in_windows)
    assert again.arena_bytes < without.arena_bytes
    streamed, longer = (made.scheduled.network for made in (without, again))
    assert plans.ratio(point) == longer.macs / streamed.macs > 1
    assert extra_macs(longer) == longer.macs - streamed.macs

    batch = CBatch()
    for name, made in (("whole", next(candidates.of(Dero.NONE))), ("again", again)):
        batch.add(name, program_of(prepared, made))
    library = batch.build(tmp_path)
    image = np.random.default_rng(3).standard_normal((1, 32, 32, 3)).astype("float32")
    inputs = {streamed.inputs[0].value: image}
    expected, _ = library.run("whole", inputs)
    assert library.macs == streamed.macs
    outputs, _ = library.run("again", inputs)
    assert library.macs == longer.macs
    for name, array in expected.items():
        assert array.tobytes() == outputs[name].tobytes()


def test_a_budget_takes_it_and_says_so(network):
    budget = 36_000  # bytes; streamed it needs 44,800
    model = dero_tvm.compile(
        network, memory_budget=budget, input_layout="nhwc", time_limit=TIME_LIMIT
    )
    report = model.report
    assert report.arena_bytes <= budget
    assert "long skips made again" in report.chosen
    assert report.macs_again == extra_macs(model.network) > 0
    again = [op for op in report.operators if op.action == "made again"]
    assert again and all("need not wait" in op.reason for op in again)
    header = next(text for path, text in model.archive.files.items() if path.endswith(".h"))
    assert b"x multiply-accumulates" in header
