"""Joins that cannot be accumulated, and the reasons that are given."""

import numpy as np
from tvm import relax

from relax_passes.ir.decisions import decisions
from relax_passes.operators import make_call
from relax_passes.residuals import accumulate_residuals, concat_in_place
from relax_passes.residuals.accumulate_residuals import AccumulateResiduals
from relax_passes.residuals.concat_in_place import ConcatInPlace
from tests.relax_passes.network_parts import (
    add,
    assert_same_results,
    concat,
    conv,
    multiply,
    network,
    reason,
    verdicts,
)
from tests.relax_passes.residuals.accumulated import SHAPE, accumulate
from tests.relax_passes.residuals.buffer_executor import assert_same_in_shared_buffers


def test_refuses_overwriting_rows_that_are_still_needed():
    def build(emit, x):
        s = emit(conv(x, 4), "s")
        b = emit(conv(s, 4, seed=1), "b")
        return emit(add(s, b), "c")

    _, after = accumulate(build)
    assert "b still needs rows of s that the sum would have overwritten" in reason(after)


def test_refuses_a_residual_that_is_read_later():
    def build(emit, x):
        s = emit(conv(x, 4), "s")
        a = emit(conv(s, 4, seed=1), "a")
        b = emit(conv(a, 4, seed=2), "b")
        c = emit(add(s, b), "c")
        return emit(concat(emit(conv(c, 4), "d"), s), "e")

    _, after = accumulate(build)
    # The other operand, b, is free, but nothing can compute s row by row: others read it.
    assert "s is also read by e, which may run after c" in reason(after)
    assert "s is also read by a, so it needs a buffer of its own" in reason(after)


def test_refuses_a_reader_that_only_happens_to_run_earlier():
    """q stands before the join but does not lead to it: another order may run it afterwards."""

    def build(emit, x):
        s = emit(conv(x, 4), "s")
        a = emit(conv(s, 4, seed=1), "a")
        q = emit(conv(s, 4, seed=5), "q")
        b = emit(conv(a, 4, seed=2), "b")
        c = emit(add(s, b), "c")
        return emit(concat(c, q), "e")

    _, after = accumulate(build)
    assert "s is also read by q, which may run after c" in reason(after)


def test_of_a_sum_of_several_one_may_be_read_later():
    """b keeps its buffer; p runs row by row, and the sum goes into the buffer of q."""

    def build(emit, x):
        p = emit(conv(x, 4, 1, seed=1), "p")
        b = emit(conv(emit(conv(x, 4, seed=2), "a"), 4, seed=3), "b")
        q = emit(conv(emit(conv(x, 4, seed=4), "f"), 4, seed=5), "q")
        c = emit(add(emit(add(p, b), "c1"), q), "c2")
        return emit(concat(emit(conv(c, 4), "d"), b), "e")

    before, after = accumulate(build, dtype="int8")
    assert verdicts(after) == {"c1": "accumulated", "c2": "accumulated"}
    assert decisions(after)[1].reason == "p, c1 row by row into the buffer of q"
    assert_same_in_shared_buffers(before, after)


def test_refuses_an_operand_that_is_read_later():
    """Of two, one cannot be overwritten, and the other has nothing to run row by row into."""

    def build(emit, x):
        p = emit(conv(x, 4, 1, seed=1), "p")
        b = emit(conv(emit(conv(x, 4, seed=2), "a"), 4, seed=3), "b")
        c = emit(add(p, b), "c")
        return emit(concat(emit(conv(c, 4), "d"), b), "e")

    _, after = accumulate(build, dtype="int8")
    needs, read = reason(after).split("; ")
    assert needs == "b is also read by e, so it needs a buffer of its own"
    assert read == "b is also read by e, which may run after c"


def test_refuses_network_outputs():
    def build(emit, x):
        s = emit(conv(x, 4), "s")
        a = emit(conv(s, 4, seed=1), "a")
        b = emit(conv(a, 4, seed=2), "b")
        return relax.Tuple([emit(add(s, b), "c"), s])

    _, after = accumulate(build)
    assert "s is also a network output" in reason(after)

    def both(emit, x):
        s = emit(conv(x, 4), "s")
        b = emit(conv(emit(conv(s, 4, seed=1), "a"), 4, seed=2), "b")
        return relax.Tuple([emit(add(s, b), "c"), b])

    _, after = accumulate(both)
    assert "b is a network output, so it needs a buffer of its own" in reason(after)


def test_refuses_broadcasting():
    def build(emit, x):
        s = emit(conv(x, 4), "s")
        pooled = emit(make_call("reduce", [s], kind="mean", axes=(1, 2), keepdims=True), "pooled")
        return emit(multiply(s, pooled), "c")

    _, after = accumulate(build)
    assert "differ in shape or type" in reason(after)


def test_refuses_single_rows():
    def build(emit, x):
        weight, bias = np.eye(8, dtype="float32"), np.ones(8, "float32")
        s = emit(make_call("dense", [x, relax.const(weight), relax.const(bias)]), "s")
        b = emit(make_call("dense", [s, relax.const(weight), relax.const(bias)]), "b")
        return emit(add(s, b), "c")

    _, after = accumulate(build, (1, 8))
    assert reason(after) == "c has a single row: running row by row would save nothing"


def test_refuses_opaque_producers():
    def build(emit, x):
        s = emit(conv(x, 4), "s")
        b = emit(relax.op.negative(s), "b")
        return emit(add(x, b), "c")

    before, after = accumulate(build)
    assert "b is computed by relax.negative, which cannot run row by row" in reason(after)
    assert "x is a network input: nothing computes it row by row" in reason(after)
    assert_same_results(before, after)


def test_refuses_parts_of_tuples():
    def build(emit, x):
        parts = emit(relax.op.split(x, 2, axis=3), "parts")
        left = emit(parts[0], "left")
        b = emit(conv(emit(conv(x, 2), "a"), 2), "b")
        return emit(add(left, b), "c")

    _, after = accumulate(build)
    assert "left is part of a tuple" in reason(after)


def test_refuses_slices_of_a_concatenation_in_place():
    """ConcatInPlace ran first: s is a slice of w, so the sum cannot take its buffer."""

    def build(emit, x):
        s = emit(conv(x, 4, seed=1), "s")
        t = emit(conv(x, 4, seed=2), "t")
        w = emit(concat(s, t), "w")
        b = emit(conv(emit(conv(w, 4, seed=3), "a"), 4, seed=4), "b")
        return emit(conv(emit(add(s, b), "c"), 4), "d")

    before = network(build, SHAPE, dtype="int8")
    placed = ConcatInPlace()(before)
    after = AccumulateResiduals()(placed)
    found = {(d.pass_name, d.join): d for d in decisions(after)}
    assert found[concat_in_place.NAME, "w"].action == "in place"
    assert "s is a slice of the concatenation w" in found[accumulate_residuals.NAME, "c"].reason
    assert_same_in_shared_buffers(before, after)
