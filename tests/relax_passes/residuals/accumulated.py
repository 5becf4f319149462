"""Networks accumulated, and what tests ask of them."""

import numpy as np
import tvm
from tvm import relax

from relax_passes.ir.decisions import decisions
from relax_passes.ir.operator_graph import operator_graph
from relax_passes.residuals.accumulate_residuals import AccumulateResiduals
from relax_passes.residuals.graph_liveness import live_bytes, schedule
from tests.relax_passes.network_parts import network, random_inputs
from tests.relax_passes.residuals.buffer_executor import execute

SHAPE = (1, 6, 5, 4)


def accumulate(build, *shapes, dtype="float32", **options):
    """The network before and after, checked to agree in buffers that are really shared."""
    before = network(build, *(shapes or (SHAPE,)), dtype=dtype)
    after = AccumulateResiduals(**options)(before)
    relax.analysis.well_formed(after)
    tvm.ir.assert_structural_equal(after, AccumulateResiduals(**options)(after))
    return before, after


def verdicts(mod):
    return {d.join: d.action for d in decisions(mod)}


def reason(mod, join="c"):
    (found,) = [d for d in decisions(mod) if d.join == join]
    assert found.action == "left alone"
    return found.reason


def peak(mod):
    return max(live_bytes(schedule(operator_graph(mod))).values())


def assert_same_in_shared_buffers(before, after):
    inputs = random_inputs(before)
    expected = execute(before, inputs)
    for seed in (None, 0, 1):
        for old, new in zip(expected, execute(after, inputs, seed), strict=True):
            np.testing.assert_array_equal(old, new)
