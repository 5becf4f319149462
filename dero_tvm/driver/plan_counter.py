"""Measures what a network's plans take, so that the fastest of them can be taken."""

from __future__ import annotations

import numpy as np

from dero_tvm.boundary.input_arrays import random_inputs
from dero_tvm.cycles import estimate_cycles
from dero_tvm.driver.candidates import Candidate
from dero_tvm.driver.generate import generate
from dero_tvm.driver.prepare import PreparedModel
from dero_tvm.report.tuning import ReportedPlan
from dero_tvm.runners import run_qemu

from ..tuning.measure import Meter

_TIME_LIMIT = 600.0  # seconds in the emulator, for one inference


class PlanCounter:
    """Called with a candidate, gives what one inference takes on an emulated board.

    In the meter's unit, cycles or instructions.  Every plan gets the same random input.  `plans`
    lists what was measured, in that order.

    Raises UserError if a tool is missing or the network does not fit the emulated board.
    """

    def __init__(self, prepared: PreparedModel, meter: Meter) -> None:
        self.plans: list[ReportedPlan] = []
        self._prepared = prepared
        self._meter = meter

    def __call__(self, candidate: Candidate) -> int:
        unit, board = self._meter.unit, self._meter.board
        self._prepared.options.progress(
            f"counting {unit} on {self._meter.label}: {candidate.label}"
        )
        archive = generate(self._prepared, candidate, None)
        inputs = random_inputs(archive.inputs, np.random.default_rng(0))
        if unit == "cycles":
            cost = estimate_cycles(archive, [inputs], board).cycles
        else:
            result = run_qemu(archive, [inputs], machine=board, time_limit=_TIME_LIMIT)
            assert result.instructions is not None
            (cost,) = result.instructions
        self.plans.append(ReportedPlan(candidate.label, candidate.arena_bytes, cost, unit))
        return cost
