"""A budget for which long skips are made again: the same bits, and work that is said."""

from __future__ import annotations

import shutil
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

import dero_tvm
from dero_tvm.driver import compiler
from dero_tvm.driver.choose_plan import smallest
from dero_tvm.driver.dero_levels import Dero
from dero_tvm.driver.generate import program_of
from dero_tvm.schedule.column_groups import extra_macs
from examples.models.unet import unet
from relax_passes.streaming.make_again import Again
from tests.compiled.c_batch import CBatch

BUDGET = 42_000  # bytes, which a part of a skip made again is enough for; streamed it needs 44,800
SKIP = Again(("lv", "lv1"), ("lv13",))
TIME_LIMIT = 0.2  # seconds a plan: these are not about the best one
pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")


@pytest.fixture(scope="module")
def compiled():
    """The model within the budget, what it was prepared as, and the plan that was chosen."""
    with mock.patch.object(compiler, "generate", wraps=compiler.generate) as generate:
        model = dero_tvm.compile(
            unet(resolution=32, widths=(8, 8, 8)),
            memory_budget=BUDGET,
            input_layout="nhwc",
            time_limit=TIME_LIMIT,
        )
    prepared, chosen, *_ = generate.call_args.args
    return model, prepared, chosen


def test_same_bits_in_less_memory_for_the_work_that_is_said(compiled, tmp_path: Path):
    _, prepared, in_part = compiled
    candidates = prepared.candidates()
    without = smallest(candidates, Dero.STREAM)
    network = candidates.streamed_for_windows((SKIP,))
    ways = {"in_part": in_part, "again": candidates.in_windows(network, (), None, (SKIP,))}
    streamed = without.scheduled.network
    batch = CBatch()
    batch.add("whole", program_of(prepared, next(candidates.of(Dero.NONE))))
    for name, made in ways.items():
        longer = made.scheduled.network
        assert made.arena_bytes < without.arena_bytes
        assert extra_macs(longer) == longer.macs - streamed.macs > 0
        batch.add(name, program_of(prepared, made))

    library = batch.build(tmp_path)
    image = np.random.default_rng(3).standard_normal((1, 32, 32, 3)).astype("float32")
    inputs = {streamed.inputs[0].value: image}
    expected, _ = library.run("whole", inputs)
    assert library.macs == streamed.macs
    for way, made in ways.items():
        outputs, _ = library.run(way, inputs)
        assert library.macs == made.scheduled.network.macs
        for name, array in expected.items():
            assert array.tobytes() == outputs[name].tobytes()


def test_a_budget_takes_it_and_says_so(compiled):
    model, *_ = compiled
    report = model.report
    assert report.arena_bytes <= BUDGET
    assert "long skips made again" in report.chosen
    assert report.macs_again == extra_macs(model.network) > 0
    again = [op for op in report.operators if op.action == "made again"]
    assert again and all("the first 24 columns of" in op.reason for op in again)
    header = next(text for path, text in model.archive.files.items() if path.endswith(".h"))
    assert report.recompute and report.recompute.encode() in header
