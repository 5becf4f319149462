"""Random networks with forks and joins of all kinds keep their bits.

Every network runs in buffers that are really shared, in the written order and in random ones
(`buffer_executor`); a few also go through ``tvm.compile``.
"""

import numpy as np
import tvm
from hypothesis import given
from hypothesis import strategies as st
from tvm import relax

from relax_passes.ir.decisions import decisions
from relax_passes.ir.operator_graph import operator_graph
from relax_passes.operators import make_call, spec_of
from relax_passes.reorganization.remove_residuals import RemoveResiduals
from relax_passes.residuals.accumulate_residuals import AccumulateResiduals
from relax_passes.residuals.classify_operators import ClassifyOperators
from relax_passes.residuals.concat_in_place import ConcatInPlace
from relax_passes.residuals.identify_residuals import IdentifyResiduals
from relax_passes.residuals.residual import read_residuals
from tests.random_cases import cases
from tests.relax_passes.network_parts import (
    activation,
    add,
    concat,
    conv,
    depthwise,
    multiply,
    network,
    random_inputs,
    run,
    without_findings,
)
from tests.relax_passes.residuals.buffer_executor import execute, peak

PASSES = [IdentifyResiduals(), ClassifyOperators(), AccumulateResiduals(), ConcatInPlace()]
SHAPE = (1, 5, 3, 2)
KINDS = ("conv", "point", "depthwise", "activation", "add", "add", "add", "multiply", "concat",
         "concat", "reshape")  # fmt: skip
STEP = st.tuples(st.sampled_from(KINDS), st.integers(0, 3), st.integers(0, 3), st.integers(0, 1))


def build(steps, extra_output):
    """A network that takes each step's operands from its latest tensors (0 is the very latest)."""

    def body(emit, x):
        tensors = [x, emit(conv(x, 2, seed=9), "stem")]
        for number, (kind, first, second, variant) in enumerate(steps):
            a = tensors[-1 - first % len(tensors)]
            b = tensors[-1 - second % len(tensors)]
            value = _operator(kind, a, b, variant)
            tensors.append(emit(value, f"{kind}{number}"))
        if extra_output and len(tensors) > 3:
            return relax.Tuple([tensors[-1], tensors[-3]])
        return tensors[-1]

    return network(body, SHAPE, dtype="int8")


def _operator(kind, a, b, variant):
    shape = spec_of(a.ty).shape
    if kind == "conv" or shape[-1] > 8:
        return conv(a, 2, seed=variant)
    if kind == "point":
        return conv(a, 2, 1, seed=variant)
    if kind == "depthwise":
        return depthwise(a, seed=variant)
    if kind in ("add", "multiply") and shape == spec_of(b.ty).shape and not a.same_as(b):
        return (add if kind == "add" else multiply)(a, b)
    if kind == "concat" and not a.same_as(b):
        return concat(a, b, axis=-1)
    if kind == "reshape":
        return make_call("reshape", [a], shape=shape)
    return activation(a, seed=variant)


@cases(60)
@given(st.lists(STEP, min_size=2, max_size=12), st.booleans(), st.integers(0, 99))
def test_same_bits_in_shared_buffers(steps, extra_output, seed):
    before = build(steps, extra_output)
    accumulated = tvm.transform.Sequential(PASSES[:3])(before)
    tvm.ir.assert_structural_equal(AccumulateResiduals()(accumulated), accumulated)
    after = ConcatInPlace()(accumulated)
    tvm.ir.assert_structural_equal(ConcatInPlace()(after), after)
    relax.analysis.well_formed(after)
    inputs = random_inputs(before, seed)
    expected = execute(before, inputs)
    for order in (None, seed, seed + 1):
        for old, new in zip(expected, execute(after, inputs, order), strict=True):
            np.testing.assert_array_equal(old, new)
    assert peak(after) <= peak(before)
    # Every join has its verdict.
    graph = operator_graph(before)
    assert {name for name, node in graph.items() if node.is_join} <= {
        d.join for d in decisions(after)
    }


@cases(40)
@given(st.lists(STEP, min_size=2, max_size=12), st.booleans())
def test_plain_baseline_is_a_network_without_residuals(steps, extra_output):
    before = build(steps, extra_output)
    after = RemoveResiduals()(before)
    relax.analysis.well_formed(after)
    again = RemoveResiduals()(after)
    tvm.ir.assert_structural_equal(without_findings(again), without_findings(after))
    assert after["main"].ret_ty == before["main"].ret_ty
    left = {d.join for d in decisions(after) if d.action == "left alone"}
    for residual in read_residuals(IdentifyResiduals()(after)):
        assert residual.join in left
    execute(after, random_inputs(after))


def test_same_bits_through_tvm():
    rng = np.random.default_rng(0)
    acted = 0
    while acted < 2:
        steps = [(KINDS[rng.integers(len(KINDS))], *rng.integers(0, [4, 4, 2])) for _ in range(7)]
        before = build(steps, extra_output=acted > 0)
        after = tvm.transform.Sequential(PASSES)(before)
        if sum(d.action != "left alone" for d in decisions(after)) < 2:
            continue
        acted += 1
        inputs = random_inputs(before)
        for old, new in zip(run(before, inputs), run(after, inputs), strict=True):
            np.testing.assert_array_equal(old, new)
