"""Accumulating joins: structure, choices, and results in really shared buffers."""

import numpy as np
import pytest
import tvm
from tvm import relax
from tvm.script import ir as I
from tvm.script import relax as R

from relax_passes.ir.decisions import decisions
from relax_passes.ir.operator_graph import operator_graph
from relax_passes.operators import make_call
from relax_passes.residuals.accumulate_residuals import AccumulateResiduals
from tests.relax_passes.network_parts import (
    SCALE,
    activation,
    add,
    assert_same_results,
    concat,
    conv,
    depthwise,
    multiply,
    network,
    random_inputs,
    reason,
    run,
    verdicts,
    without_findings,
)
from tests.relax_passes.residuals.accumulated import SHAPE, accumulate
from tests.relax_passes.residuals.buffer_executor import (
    assert_same_in_shared_buffers,
    execute,
    peak,
)


def basic_block(emit, x):
    s = emit(conv(x, 4, seed=1), "s")
    a = emit(conv(s, 4, seed=2), "a")
    b = emit(conv(a, 4, seed=3), "b")
    c = emit(add(b, s, minimum=0), "c")
    return emit(conv(c, 4, seed=4), "d")


def test_basic_block():
    @I.ir_module
    class Expected:
        @R.function(private=True)
        def accumulate_c(
            a: R.Tensor((1, 6, 5, 4), "float32"), s: R.Tensor((1, 6, 5, 4), "float32")
        ) -> R.Tensor((1, 6, 5, 4), "float32"):
            R.func_attr({"dero.cascade": "accumulate", "dero.in_place": 1})
            with R.dataflow():
                b = conv(a, 4, seed=3)
                c = add(b, s, minimum=0)
                R.output(c)
            return c

        @R.function
        def main(x: R.Tensor((1, 6, 5, 4), "float32")) -> R.Tensor((1, 6, 5, 4), "float32"):
            cls = Expected
            with R.dataflow():
                s = conv(x, 4, seed=1)
                a = conv(s, 4, seed=2)
                c = cls.accumulate_c(a, s)
                d = conv(c, 4, seed=4)
                R.output(d)
            return d

    before, after = accumulate(basic_block)
    tvm.ir.assert_structural_equal(without_findings(after), Expected)
    assert verdicts(after) == {"c": "accumulated"}
    assert_same_results(before, after)
    tensor = 6 * 5 * 4 * 4
    assert peak(before) == 3 * tensor
    assert peak(after) == 2 * tensor + tensor // 6  # and one row of b


def test_int8_is_bit_exact():
    before, after = accumulate(basic_block, dtype="int8")
    assert verdicts(after) == {"c": "accumulated"}
    assert_same_results(before, after)
    assert_same_in_shared_buffers(before, after)


def test_followers_go_along():
    def build(emit, x):
        s = emit(conv(x, 4), "s")
        a = emit(conv(s, 4, seed=1), "a")
        b = emit(conv(a, 4, seed=2), "b")
        c = emit(add(s, b), "c")
        r = emit(activation(c), "r")
        return emit(conv(r, 4, seed=3), "d")

    before, after = accumulate(build, dtype="int8")
    function = after["accumulate_r"]
    assert [str(b.var.name) for b in function.body.blocks[0].bindings] == ["b", "c", "r"]
    assert_same_in_shared_buffers(before, after)


def test_activation_before_the_addition_goes_along():
    """conv -> silu (a table and a product) -> add: all three run row by row."""

    def build(emit, x):
        s = emit(conv(x, 4), "s")
        a = emit(conv(s, 4, seed=1), "a")
        b = emit(conv(a, 4, seed=2), "b")
        gate = emit(activation(b, seed=1), "gate")
        m = emit(multiply(b, gate), "m")
        c = emit(add(s, m), "c")
        return emit(conv(c, 4, seed=3), "d")

    before, after = accumulate(build, dtype="int8")
    function = after["accumulate_c"]
    names = [str(b.var.name) for b in function.body.blocks[0].bindings]
    assert names == ["b", "gate", "m", "c"]
    assert verdicts(after) == {"m": "accumulated", "c": "accumulated"}
    assert_same_in_shared_buffers(before, after)


def test_what_a_convolution_inside_reads_stays_outside():
    """t feeds an addition of the chain, but also a convolution that needs several of its rows."""

    def build(emit, x):
        r = emit(conv(x, 4, seed=1), "r")
        t = emit(conv(x, 4, seed=2), "t")
        u = emit(conv(t, 4, seed=3), "u")
        c = emit(add(emit(add(emit(add(r, t), "c1"), u), "c2"), r), "c3")
        return emit(conv(c, 4), "d")

    before, after = accumulate(build, dtype="int8")
    assert "accumulated" in verdicts(after).values()
    assert operator_graph(after)["t"].kind == "operator"
    assert_same_in_shared_buffers(before, after)


def test_projection_shortcut():
    """Either the projection or the main branch may be the buffer; both orders are served."""

    def build(emit, x):
        a = emit(conv(x, 8, stride=2, seed=1), "a")
        b = emit(conv(a, 8, seed=2), "b")
        p = emit(conv(x, 8, 1, stride=2, seed=3), "p")
        c = emit(add(p, b), "c")
        return emit(conv(c, 8, seed=4), "d")

    before, after = accumulate(build, (1, 8, 8, 8), dtype="int8")
    assert verdicts(after) == {"c": "accumulated"}
    assert peak(after) <= peak(before)
    assert_same_in_shared_buffers(before, after)


def test_takes_the_operand_that_keeps_less_alive():
    """Delaying p would keep the wide x alive beside everything, delaying b only the narrow a."""

    def build(emit, x):
        p = emit(conv(x, 2, 1, seed=1), "p")
        a = emit(conv(x, 2, seed=2), "a")
        b = emit(conv(a, 2, seed=3), "b")
        return emit(conv(emit(add(p, b), "c"), 2), "d")

    _, after = accumulate(build, (1, 6, 6, 16))
    (found,) = decisions(after)
    assert found.reason == "b row by row into the buffer of p"

    def mirrored(emit, x):
        a = emit(conv(x, 2, seed=2), "a")
        p = emit(conv(x, 2, 1, seed=1), "p")
        b = emit(conv(a, 2, seed=3), "b")
        return emit(conv(emit(add(b, p), "c"), 2), "d")

    _, after = accumulate(mirrored, (1, 6, 6, 16))
    (found,) = decisions(after)
    assert found.reason == "b row by row into the buffer of p"


def test_sum_of_several():
    """ONNX Sum, a chain of additions: all run row by row over the buffer of one operand."""

    def build(emit, x):
        s = emit(conv(x, 4), "s")
        a, b, e = (emit(conv(s, 4, seed=i), f"a{i}") for i in range(3))
        c = emit(add(emit(add(a, b), "c1"), e), "c2")
        return emit(conv(c, 4), "d")

    before, after = accumulate(build, dtype="int8")
    assert verdicts(after) == {"c1": "accumulated", "c2": "accumulated"}
    tensor, row = 120, 20
    assert peak(before) == 4 * tensor
    assert peak(after) == 2 * tensor + 3 * row
    assert_same_in_shared_buffers(before, after)


def test_chain_of_blocks_stays_in_one_buffer():
    def build(emit, x):
        s = emit(conv(x, 4), "s")
        for i in range(3):
            a = emit(conv(s, 4, seed=2 * i), f"a{i}")
            b = emit(conv(a, 4, seed=2 * i + 1), f"b{i}")
            s = emit(add(s, b), f"s{i}")
        return emit(conv(s, 4), "d")

    before, after = accumulate(build, dtype="int8")
    assert set(verdicts(after).values()) == {"accumulated"}
    assert_same_in_shared_buffers(before, after)


def test_pointwise_of_the_residual_itself():
    """conv1x1 needs row i alone, so the sum may overwrite row i."""

    def build(emit, x):
        s = emit(conv(x, 4), "s")
        b = emit(conv(s, 4, 1, seed=1), "b")
        return emit(conv(emit(add(s, b), "c"), 4), "d")

    before, after = accumulate(build, dtype="int8")
    assert verdicts(after) == {"c": "accumulated"}
    assert_same_in_shared_buffers(before, after)


def test_producer_that_looks_ahead_only():
    """Padding below alone: row i of the convolution needs rows i and up."""

    def build(emit, x):
        s = emit(conv(x, 4), "s")
        b = emit(conv(s, 4, seed=1, padding=(0, 1, 2, 1)), "b")
        return emit(conv(emit(add(s, b), "c"), 4), "d")

    before, after = accumulate(build, dtype="int8")
    assert verdicts(after) == {"c": "accumulated"}
    assert_same_in_shared_buffers(before, after)


def test_residual_may_be_a_reshape():
    def build(emit, x):
        s = emit(conv(x, 4), "s")
        a = emit(conv(s, 4, seed=1), "a")
        b = emit(conv(a, 4, seed=2), "b")
        flat = emit(make_call("reshape", [s], shape=(1, 30, 4, 1)), "flat")
        flat_b = emit(make_call("reshape", [b], shape=(1, 30, 4, 1)), "flat_b")
        own = emit(activation(flat_b), "own")
        c = emit(add(flat, own), "c")
        return emit(make_call("reshape", [c], shape=SHAPE), "d")

    before, after = accumulate(build, dtype="int8")
    assert verdicts(after) == {"c": "accumulated"}
    assert_same_in_shared_buffers(before, after)


def test_input_may_be_overwritten_unless_it_has_to_be_kept():
    def build(emit, x):
        a = emit(conv(x, 4, seed=1), "a")
        b = emit(conv(a, 4, seed=2), "b")
        return emit(add(x, b), "c")

    before, after = accumulate(build, dtype="int8")
    assert verdicts(after) == {"c": "accumulated"}
    assert_same_in_shared_buffers(before, after)
    _, kept = accumulate(build, keep_inputs=True)
    assert "x is the network input x, which has to be kept" in reason(kept)


def test_a_concatenation_may_be_what_is_added():
    def build(emit, x):
        s = emit(conv(x, 4), "s")
        a, b = (emit(conv(emit(conv(s, 2, seed=i), f"t{i}"), 2, seed=i), f"a{i}") for i in (1, 2))
        c = emit(add(s, emit(concat(a, b), "joined")), "c")
        return emit(conv(c, 2), "d")

    before, after = accumulate(build, dtype="int8")
    assert verdicts(after) == {"joined": "accumulated", "c": "accumulated"}
    assert decisions(after)[0].reason == "runs row by row together with c"
    assert_same_in_shared_buffers(before, after)


def test_never_raises_the_peak():
    """b would have to be delayed until after the wide y, and keep the wide x alive beside it."""

    def build(emit, x):
        b = emit(conv(x, 1, 1, seed=1), "b")
        p = emit(conv(x, 1, 1, seed=2), "p")
        y = emit(conv(p, 16, seed=3), "y")
        q = emit(conv(y, 1, seed=4), "q")
        r = emit(activation(q), "r")
        out = emit(add(r, b), "c")
        return relax.Tuple([out, q])

    before, after = accumulate(build, (1, 6, 6, 16))
    assert peak(after) <= peak(before)
    assert verdicts(after)["c"] == "accumulated"
    (found,) = decisions(after)
    assert found.reason == "r row by row into the buffer of b"

    def worse(emit, x):
        b = emit(conv(x, 1, 1, seed=1), "b")
        p = emit(conv(x, 1, 1, seed=2), "p")
        y = emit(conv(p, 16, seed=3), "y")
        q = emit(conv(y, 1, seed=4), "q")
        t = emit(make_call("reshape", [q], shape=(1, 6, 6, 1)), "t")
        return emit(add(t, b), "c")

    before, after = accumulate(worse, (1, 6, 6, 16))
    assert peak(after) <= peak(before)
    assert "accumulating would raise the peak from" in reason(after)


def test_does_nothing_without_joins():
    mod = network(lambda emit, x: emit(conv(x, 4), "a"), SHAPE)
    tvm.ir.assert_structural_equal(AccumulateResiduals()(mod), mod)


@pytest.mark.parametrize("scales", [(SCALE, 2 * SCALE), (0.3 * SCALE, SCALE)])
def test_depthwise_block(scales):
    """An inverted residual with different scales, compiled by TVM and run in shared buffers."""

    def build(emit, x):
        s = emit(conv(x, 4, seed=1), "s")
        e = emit(conv(s, 12, 1, seed=2, minimum=0), "e")
        d = emit(depthwise(e, seed=3), "d")
        b = emit(conv(d, 4, 1, seed=4), "b")
        c = emit(add(s, b, scale_a=scales[0], scale_b=scales[1]), "c")
        return emit(conv(c, 4, seed=5), "o")

    before, after = accumulate(build, dtype="int8")
    assert verdicts(after) == {"c": "accumulated"}
    assert_same_in_shared_buffers(before, after)
    inputs = random_inputs(before)
    np.testing.assert_array_equal(run(after, inputs)[0], execute(after, inputs)[0])
