"""Counts the instructions of a network's plans, so that the fastest of them can be taken."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dero_tvm.boundary.input_arrays import random_inputs
from dero_tvm.driver.candidates import Candidate
from dero_tvm.driver.generate import generate
from dero_tvm.driver.prepare import PreparedModel
from dero_tvm.report.tuning import ReportedPlan
from dero_tvm.runners import run_qemu

from ..tuning.measure import Meter

_TIME_LIMIT = 600.0  # seconds in the emulator, for one inference


class PlanCounter:
    """Called with a candidate, gives the instructions of one inference on an emulated board.

    Every plan gets the same random input.  `plans` lists what was counted, in that order.

    Raises UserError if a tool is missing or the network does not fit the emulated board.
    """

    def __init__(
        self,
        prepared: PreparedModel,
        meter: Meter,
        progress: Callable[[str], None] = lambda stage: None,
    ) -> None:
        self.plans: list[ReportedPlan] = []
        self._prepared = prepared
        self._meter = meter
        self._progress = progress

    def __call__(self, candidate: Candidate) -> int:
        self._progress(f"counting instructions on {self._meter.label}: {candidate.label}")
        archive = generate(self._prepared, candidate, None)
        inputs = random_inputs(archive.inputs, np.random.default_rng(0))
        result = run_qemu(archive, [inputs], machine=self._meter.board, time_limit=_TIME_LIMIT)
        assert result.instructions is not None
        (count,) = result.instructions
        self.plans.append(ReportedPlan(candidate.label, candidate.arena_bytes, count))
        return count
