"""Concatenations in place: which qualify, why others do not, results in really shared buffers."""

import numpy as np
import pytest
import tvm
from tvm import relax
from tvm.script import ir as I
from tvm.script import relax as R

from relax_passes.ir.decisions import decisions
from relax_passes.ir.operator_graph import operator_graph
from relax_passes.operators import make_call
from relax_passes.residuals import concat_in_place
from relax_passes.residuals.accumulate_residuals import AccumulateResiduals
from relax_passes.residuals.concat_in_place import ConcatInPlace
from relax_passes.residuals.graph_liveness import storage
from tests.relax_passes.network_parts import (
    activation,
    add,
    assert_same_results,
    concat,
    conv,
    network,
    without_findings,
)
from tests.relax_passes.residuals.buffer_executor import (
    assert_same_in_shared_buffers,
    peak,
)

SHAPE = (1, 6, 5, 4)


def place(build, *shapes, dtype="int8"):
    """The network before and after, checked to agree in buffers that are really shared."""
    before = network(build, *(shapes or (SHAPE,)), dtype=dtype)
    after = ConcatInPlace()(before)
    relax.analysis.well_formed(after)
    tvm.ir.assert_structural_equal(after, ConcatInPlace()(after))
    assert peak(after) <= peak(before)
    return before, after


def verdicts(mod):
    return {d.join: d.action for d in decisions(mod) if d.pass_name == concat_in_place.NAME}


def reason(mod, join="c"):
    (found,) = [d for d in decisions(mod) if d.join == join and d.pass_name == concat_in_place.NAME]
    assert found.action == "left alone"
    return found.reason


def fire(emit, x):
    """SqueezeNet's module."""
    s = emit(conv(x, 2, 1), "s")
    a = emit(conv(s, 3, 1, seed=1), "a")
    b = emit(conv(s, 4, 3, seed=2), "b")
    c = emit(concat(a, b), "c")
    return emit(conv(c, 2, seed=3), "d")


def test_before_and_after():
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((1, 6, 5, 4), "float32")) -> R.Tensor((1, 6, 5, 2), "float32"):
            with R.dataflow():
                a = conv(x, 3, 1, seed=1)
                b = conv(x, 4, 3, seed=2)
                c = concat(a, b)
                d = conv(c, 2, seed=3)
                R.output(d)
            return d

    @I.ir_module
    class Expected:
        @R.function
        def main(x: R.Tensor((1, 6, 5, 4), "float32")) -> R.Tensor((1, 6, 5, 2), "float32"):
            with R.dataflow():
                a = conv(x, 3, 1, seed=1)
                b = conv(x, 4, 3, seed=2)
                c = concat(a, b, in_place=True)
                d = conv(c, 2, seed=3)
                R.output(d)
            return d

    after = ConcatInPlace()(Before)
    tvm.ir.assert_structural_equal(without_findings(after), Expected)
    assert_same_results(Before, after)


def test_channels():
    before, after = place(fire)
    assert verdicts(after) == {"c": "in place"}
    assert_same_in_shared_buffers(before, after)
    assert peak(after) < peak(before)


def test_rows():
    def build(emit, x):
        a = emit(conv(x, 3, seed=1), "a")
        b = emit(conv(x, 3, seed=2), "b")
        return emit(conv(emit(concat(a, b, axis=1), "c"), 2), "d")

    before, after = place(build)
    assert verdicts(after) == {"c": "in place"}
    assert_same_in_shared_buffers(before, after)


def test_rows_of_operands_that_cannot_be_strided():
    """Whole rows follow each other, so even TVM's own operators can write and read them."""

    def build(emit, x):
        a = emit(relax.op.negative(x), "a")
        b = emit(conv(x, 4), "b")
        return emit(concat(a, b, axis=1), "c")

    before, after = place(build, dtype="float32")
    assert verdicts(after) == {"c": "in place"}
    assert_same_results(before, after)


def dense_block(emit, x):
    c = emit(conv(x, 4), "s")
    for i in range(3):
        r = emit(activation(c, seed=i), f"r{i}")
        n = emit(conv(r, 2, seed=i), f"n{i}")
        c = emit(concat(c, n), f"c{i}")
    return emit(conv(c, 2), "d")


def test_dense_chain_becomes_one_buffer():
    before, after = place(dense_block)
    assert verdicts(after) == {"c0": "in place", "c1": "in place", "c2": "in place"}
    buffers = storage(operator_graph(after))
    assert len({buffers[n] for n in ("s", "n0", "c0", "n1", "c1", "n2", "c2")}) == 1
    assert_same_in_shared_buffers(before, after)


def test_flat_dense_chain_is_nested_first():
    def build(emit, x):
        parts = [emit(conv(x, 4), "s")]
        c = parts[0]
        for i in range(3):
            r = emit(activation(c, seed=i), f"r{i}")
            parts.append(emit(conv(r, 2, seed=i), f"n{i}"))
            c = emit(concat(*parts), f"c{i}")
        return emit(conv(c, 2), "d")

    before, after = place(build)
    assert set(verdicts(after).values()) == {"in place"}
    assert operator_graph(after)["c2"].operands == ("c1", "n2")
    assert peak(after) == peak(place(dense_block)[1])
    assert_same_in_shared_buffers(before, after)


def test_accumulated_operand():
    """The sum goes into the residual's buffer, which is a slice of the concatenation."""

    def build(emit, x):
        s = emit(conv(x, 4), "s")
        a = emit(conv(s, 4, seed=1), "a")
        b = emit(conv(a, 4, seed=2), "b")
        z = emit(activation(emit(add(s, b), "sum")), "z")
        t = emit(conv(x, 8, seed=3), "t")
        return emit(conv(emit(concat(t, z), "c"), 2), "d")

    before = network(build, SHAPE, dtype="int8")
    passes = tvm.transform.Sequential([AccumulateResiduals(), ConcatInPlace()])
    after = passes(before)
    assert verdicts(after) == {"c": "in place"}
    assert [d.action for d in decisions(after)] == ["accumulated", "in place"]
    assert_same_in_shared_buffers(before, after)
    assert_same_results(before, after)
    tvm.ir.assert_structural_equal(passes(after), after)


def test_float32():
    before, after = place(fire, dtype="float32")
    assert_same_in_shared_buffers(before, after)


# --- refusals ------------------------------------------------------------------------------


def one_operand(make):
    """concat(make(x), convolution)."""

    def build(emit, x):
        s = emit(conv(x, 4), "s")
        other = emit(conv(s, 4, seed=1), "other")
        return emit(conv(emit(concat(make(emit, s), other), "c"), 2, seed=2), "d")

    return build


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda emit, s: relax.const(np.ones(SHAPE, "float32")), "an operand is a constant"),
        (
            lambda emit, s: emit(make_call("reshape", [s], shape=SHAPE), "a"),
            "a is a reshape of another tensor",
        ),
        (
            lambda emit, s: emit(
                make_call(
                    "part",
                    [relax.const(np.zeros(np.prod(SHAPE) * 4, "int8"))],
                    **{"offset": 0, "shape": SHAPE, "dtype": "float32"},
                ),
                "a",
            ),
            "a is a part of another tensor",
        ),
        (
            lambda emit, s: emit(relax.op.negative(s), "a"),
            "a (relax.negative) cannot be written into a slice",
        ),
        (
            lambda emit, s: emit(emit(relax.op.split(s, [4], axis=3), "parts")[0], "a"),
            "a is part of a tuple",
        ),
    ],
)
def test_refuses_operands_that_are_not_computed_in_place(make, message):
    _, after = place(one_operand(make), dtype="float32")
    assert message in reason(after)


def test_refuses_network_inputs_and_outputs():
    _, after = place(lambda emit, x: emit(concat(x, emit(conv(x, 2), "a")), "c"))
    assert reason(after) == "x lies in the buffer of the network input x"

    def build(emit, x):
        a, b = emit(conv(x, 2), "a"), emit(conv(x, 3), "b")
        return relax.Tuple([emit(concat(a, b), "c"), b])

    _, after = place(build)
    assert reason(after) == "b lies in the buffer of the network output b"


def test_refuses_operands_that_occur_twice():
    def build(emit, x):
        a, b = emit(conv(x, 2), "a"), emit(conv(x, 3), "b")
        return emit(concat(a, b, a), "c")

    _, after = place(build)
    assert reason(after) == "a occurs more than once"


def test_refuses_an_operand_of_two_concatenations():
    def build(emit, x):
        a, b, e = (emit(conv(x, 2, seed=i), f"a{i}") for i in range(3))
        first = emit(concat(a, b), "first")
        second = emit(concat(b, e), "second")
        return relax.Tuple([emit(conv(first, 2), "u"), emit(conv(second, 2), "v")])

    before, after = place(build)
    assert verdicts(after) == {"first": "in place", "second": "left alone"}
    assert reason(after, "second") == "a1 is a slice of first already"
    assert_same_in_shared_buffers(before, after)


def test_refuses_readers_of_whole_pixels():
    def build(emit, x):
        a, b = emit(conv(x, 2), "a"), emit(conv(x, 3), "b")
        c = emit(concat(a, b), "c")
        return relax.Tuple([emit(relax.op.negative(a), "n"), emit(conv(c, 2), "d")])

    _, after = place(build, dtype="float32")
    assert reason(after) == "n (relax.negative) cannot read a slice"


def test_refuses_views_of_a_slice():
    def build(emit, x):
        a, b = emit(conv(x, 2), "a"), emit(conv(x, 3), "b")
        c = emit(concat(a, b), "c")
        flat = emit(make_call("reshape", [a], shape=(1, 30, 1, 2)), "flat")
        return relax.Tuple([emit(activation(flat), "n"), emit(conv(c, 2), "d")])

    before, after = place(build)
    assert reason(after) == "flat is the same memory in another shape, which a slice cannot be"
    assert_same_in_shared_buffers(before, after)


def test_refuses_other_axes():
    def build(emit, x):
        a, b = emit(conv(x, 2), "a"), emit(conv(x, 2, seed=1), "b")
        return emit(concat(a, b, axis=2), "c")

    _, after = place(build)
    assert reason(after) == "slices along axis 2 are neither contiguous nor strided pixels"


def test_refuses_an_operand_that_is_overwritten_later():
    """After c has read s, the sum is accumulated into s: s must not be a part of c."""

    def build(emit, x):
        s = emit(conv(x, 4), "s")
        t = emit(conv(x, 2, seed=1), "t")
        c = emit(concat(s, t), "c")
        b = emit(conv(emit(conv(c, 4, seed=2), "a"), 4, seed=3), "b")
        return emit(conv(emit(add(s, b), "z"), 2), "d")

    before = network(build, SHAPE, dtype="int8")
    after = ConcatInPlace()(AccumulateResiduals()(before))
    assert reason(after) == "s is overwritten by z"
    assert_same_in_shared_buffers(before, after)


def test_never_raises_the_peak():
    """The skip of a U-Net, wide and early: its buffer would be alive through the wide middle."""

    def build(emit, x):
        s = emit(conv(x, 2, seed=1), "s")
        wide = emit(conv(s, 24, seed=2), "wide")
        wider = emit(conv(wide, 24, seed=3), "wider")
        t = emit(conv(wider, 16, seed=4), "t")
        return emit(conv(emit(concat(s, t), "c"), 2), "d")

    _, after = place(build, (1, 6, 5, 2))
    assert "would raise the peak from" in reason(after)
