"""FuseShortcuts: before and after, however the shortcut is spelled, and what it leaves alone."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
from tvm import relax
from tvm.ir import Call
from tvm.script import ir as I
from tvm.script import relax as R

from relax_passes.ir.decisions import decisions
from relax_passes.operators import attributes_of, make_call
from relax_passes.residuals.fold_padding import FoldPadding
from relax_passes.shortcuts.fuse_shortcuts import FuseShortcuts
from tests.relax_passes.network_parts import (
    add,
    conv,
    multiply,
    network,
    random_inputs,
    run,
    without_findings,
)

ORDER = np.array([1, 0, 3, 2], "int32")
WINDOW = {"pool_size": (3, 3), "strides": (2, 2), "padding": (1, 1, 1, 1)}
POOL = {"pool_size": (3, 3), "pool_padding": (1, 1, 1, 1)}


def vector(channels, seed):
    return np.random.default_rng(seed).uniform(0.5, 1.5, channels).astype("float32")


def pool(x, kind="sum", **attrs):
    return make_call("pool2d", [x], kind=kind, **{**WINDOW, **attrs})


def scaled(x, factor):
    return make_call("multiply", [x, relax.const(np.atleast_1d(np.float32(factor)))])


def shifted(x, summand):
    return make_call("add", [x, relax.const(summand)])


def pad(x, after, value=0.0, before=0):
    frame = {"pad_before": (0, 0, 0, before), "pad_after": (0, 0, 0, after)}
    return make_call("pad", [x], value=value, **frame)


def cut(x, begin, end):
    shape = [int(n) for n in x.ty.shape]
    return make_call("slice", [x], begin=(0, 0, 0, begin), end=(*shape[:3], end))


def shortcut_conv(x, filters, scale, offset, *, stride=1, seed=0, tap_bias=None, **attrs):
    plain = conv(x, filters, stride=stride, seed=seed)
    operands = [x, *plain.args[1:], relax.const(scale), relax.const(offset)]
    inherited = {k: attributes_of(plain)[k] for k in ("strides", "padding")}
    return make_call("shortcut_conv2d", operands, **inherited, **attrs)


def test_padded_shortcut() -> None:
    scale, offset = vector(8, 1), vector(8, 2)

    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((1, 8, 8, 3), "float32")):
            with R.dataflow():
                y = conv(x, 8, stride=2, minimum=0.0)
                p = pool(x)
                q = pad(p, 5)
                s = scaled(q, scale)
                t = shifted(s, offset)
                z = add(y, t)
                R.output(z)
            return z

    padded = np.where(np.arange(8) < 3, scale, 0).astype("float32")

    @I.ir_module
    class Expected:
        @R.function
        def main(x: R.Tensor((1, 8, 8, 3), "float32")):
            with R.dataflow():
                z = shortcut_conv(x, 8, padded, offset, stride=2, minimum=0.0, **POOL)
                R.output(z)
            return z

    after = FuseShortcuts()(Before)
    tvm.ir.assert_structural_equal(without_findings(after), Expected)
    tvm.ir.assert_structural_equal(FuseShortcuts()(after), after)
    (decision,) = decisions(after)
    assert (decision.join, decision.action) == ("gv", "fused")
    assert_close(Before, after)


def test_normalisation_before_a_padded_convolution() -> None:
    """Zeros of the padding come after the normalisation: its constant is a sum over inner taps."""
    factor, summand = vector(4, 1), vector(4, 2)
    scale, offset = vector(4, 3), vector(4, 4)

    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((1, 5, 6, 4), "float32")):
            with R.dataflow():
                m = scaled(x, factor)
                n = shifted(m, summand)
                y = conv(n, 4)
                s = scaled(x, scale)
                t = shifted(s, offset)
                z = add(t, y, maximum=6.0)
                R.output(z)
            return z

    after = FuseShortcuts()(Before)
    (operator,) = calls(after)
    weight, tap_bias = (operator.args[i].value.numpy() for i in (1, 5))
    original = conv(relax.Var("n", relax.TensorType((1, 5, 6, 4), "float32")), 4).args[1]
    original = original.value.numpy()
    np.testing.assert_allclose(weight, original * factor, rtol=1e-6)
    np.testing.assert_allclose(tap_bias, (original * summand).sum(-1), rtol=1e-5, atol=1e-6)
    assert attributes_of(operator)["sum_maximum"] == 6.0
    assert_close(Before, after)


def spelled(name):
    """A shortcut from 6 channels to 4, strided: the same function, written in several ways."""
    scale, offset = vector(4, 5), vector(4, 6)

    def build(emit, x):
        y = emit(conv(x, 4, stride=2, minimum=0.0), "y")
        if name == "average":
            p = emit(scaled(emit(pool(x, "average", count_include_pad=True), "a"), 9.0), "p")
        elif name == "pool last":
            p = x
        else:
            p = emit(pool(x), "p")
        if name == "concat":
            zeros = relax.const(np.zeros((1, 8 if p is x else 4, 4, 2), "float32"))
            p = emit(make_call("concat", [p, zeros], axis=3), "p8")
            f = emit(add(emit(cut(p, 0, 4), "c"), emit(cut(p, 4, 8), "d")), "f")
        elif name == "other order":
            p = emit(pad(p, 2), "p8")
            f = emit(add(emit(cut(p, 4, 8), "d"), emit(cut(p, 0, 4), "c")), "f")
        elif name == "pad the rest":
            f = emit(add(emit(cut(p, 0, 4), "c"), emit(pad(emit(cut(p, 4, 6), "d"), 2), "e")), "f")
        elif name == "scaled before":
            p = emit(scaled(p, np.concatenate([scale, scale[:2]])), "s")
            p = emit(pad(p, 2), "p8")
            f = emit(add(emit(cut(p, 0, 4), "c"), emit(cut(p, 4, 8), "d")), "f")
            return emit(add(y, emit(shifted(f, offset), "t")), "z")
        else:
            p = emit(pad(p, 2), "p8")
            f = emit(add(emit(cut(p, 0, 4), "c"), emit(cut(p, 4, 8), "d")), "f")
        if name == "pool last":
            f = emit(pool(f), "l")
        s = emit(scaled(f, scale), "s")
        return emit(add(y, emit(shifted(s, offset), "t")), "z")

    return network(build, (1, 8, 8, 6))


SPELLINGS = (
    "sum",
    "average",
    "concat",
    "other order",
    "pad the rest",
    "scaled before",
    "pool last",
)


@pytest.mark.parametrize("name", SPELLINGS)
def test_one_shortcut_in_many_spellings(name) -> None:
    after = FuseShortcuts()(spelled(name))
    expected = FuseShortcuts()(spelled("sum"))
    (operator,), (other,) = calls(after), calls(expected)
    assert attributes_of(operator) == attributes_of(other)
    assert attributes_of(operator)["fold"] == 2
    for ours, theirs in zip(operator.args[1:], other.args[1:], strict=True):
        np.testing.assert_allclose(ours.value.numpy(), theirs.value.numpy(), rtol=1e-6)


def test_results_of_a_fold_are_those_of_its_operators() -> None:
    before = spelled("sum")
    assert_close(before, FuseShortcuts()(before))


def test_an_activation_of_its_own_goes_along() -> None:
    """As YOLOv5's SiLU; the identity is a shortcut with a factor of 1."""

    def build(emit, x):
        y = emit(make_call("unary", [emit(conv(x, 4), "y")], function="silu"), "a")
        return emit(add(y, x), "z")

    before = network(build, (1, 5, 5, 4))
    after = FuseShortcuts()(before)
    assert attributes_of(calls(after)[0])["function"] == "silu"
    assert_close(before, after)


def test_decisions_follow_their_join_when_later_passes_rename_it() -> None:
    def build(emit, x):
        p = emit(make_call("pad", [x], pad_before=(0, 1, 1, 0), pad_after=(0,) * 4, value=0.0), "p")
        y = emit(conv(p, 4, padding=(0, 0, 1, 1)), "y")
        return emit(add(emit(conv(y, 4), "c"), emit(scaled(y, 2.0), "s")), "z")

    fused = FuseShortcuts()(network(build, (1, 5, 5, 4)))
    (before,) = decisions(fused)
    folded = FoldPadding()(fused)
    (after,) = decisions(folded)
    names = {binding.var.name for block in folded["main"].body.blocks for binding in block.bindings}
    assert after.join in names
    assert (after.action, after.reason) == (before.action, before.reason)


def refused(build, *shapes):
    """The one decision on a network that is left as it was."""
    before = network(build, *shapes)
    after = FuseShortcuts()(before)
    assert not calls(after)
    return [d.reason for d in decisions(after)]


def test_refusals() -> None:
    scale = vector(4, 1)

    def read_elsewhere(emit, x):
        y = emit(conv(x, 4), "y")
        z = emit(add(y, emit(scaled(x, scale), "s")), "z")
        return emit(concat_of(y, z), "c")

    def two_windows(emit, x):
        p = emit(
            add(emit(pool(x), "p"), emit(pool(x, pool_size=(2, 2), padding=(0,) * 4), "q")), "r"
        )
        return emit(add(emit(conv(x, 4, stride=2), "y"), p), "z")

    def average_inside(emit, x):
        return emit(add(emit(conv(x, 4, stride=2), "y"), emit(pool(x, "average"), "p")), "z")

    def maximum(emit, x):
        p = emit(scaled(emit(pool(x, "max"), "p"), scale), "s")
        return emit(add(emit(conv(x, 4, stride=2), "y"), p), "z")

    def clamped(emit, x):
        s = emit(make_call("multiply", [x, relax.const(scale)], minimum=0.0), "s")
        return emit(add(emit(conv(x, 4), "y"), s), "z")

    def twice(emit, x):
        p = emit(pool(emit(pool(x, strides=(1, 1)), "p"), strides=(1, 1)), "q")
        return emit(add(emit(conv(x, 4), "y"), p), "z")

    def behind_a_pooling(emit, x):
        y = emit(pool(emit(conv(x, 4, minimum=0.0), "c"), "max"), "y")
        return emit(add(y, emit(scaled(emit(pool(x), "p"), scale), "s")), "z")

    def product(emit, x):
        m = emit(scaled(emit(multiply(x, x), "m"), scale), "s")
        return emit(add(emit(conv(x, 4), "y"), m), "z")

    def reversed_channels(emit, x):
        parts = [emit(cut(x, i, i + 1), f"c{i}") for i in (1, 0, 3, 2)]
        c = emit(make_call("concat", parts, axis=3), "c")
        return emit(add(emit(conv(x, 4), "y"), c), "z")

    def other_start(emit, x):
        return emit(add(emit(conv(x, 2), "y"), emit(cut(x, 2, 4), "c")), "z")

    def unequal(emit, x):
        c, d = emit(cut(x, 0, 2), "c"), emit(scaled(emit(cut(x, 2, 4), "d"), 2.0), "e")
        return emit(add(emit(conv(x, 2), "y"), emit(add(c, d), "f")), "z")

    def other_order(emit, x):
        t = emit(make_call("take", [x, relax.const(ORDER)], axis=3, places=tuple(ORDER)), "t")
        return emit(add(emit(conv(x, 4), "y"), t), "z")

    def greatest(emit, x):
        m = emit(make_call("reduce", [x], kind="max", axes=(3,), keepdims=True), "m")
        return emit(add(emit(conv(x, 4), "y"), m), "z")

    def moved_by_a_convolution(emit, x):
        shifting = np.zeros((4, 3, 3, 4), "float32")
        shifting[np.arange(4), 0, 2, np.arange(4)] = 1.0
        plain = conv(x, 4)
        operands = [x, relax.const(shifting), *plain.args[2:]]
        s = emit(make_call("conv2d", operands, **attributes_of(plain)), "s")
        return emit(add(emit(conv(x, 4, minimum=0.0), "y"), s), "z")

    cases = {
        other_order: "comes from take, which is not the convolution's input",
        greatest: "comes from reduce, which is not the convolution's input",
        moved_by_a_convolution: "comes from conv2d, which is not the convolution's input",
        read_elsewhere: "cannot be fused: the convolution's result is read elsewhere too",
        two_windows: "adds up channels that are weighted differently",
        average_inside: "averages what lies inside the image, so that its windows weigh more at "
        "the border",
        maximum: "is pooled by the maximum",
        clamped: "is clamped by an activation",
        twice: "is pooled twice",
        product: "is multiplied with another tensor",
        reversed_channels: "adds up channels that are weighted differently",
        other_start: "takes other channels than a fold of the convolution's input",
        unequal: "adds up channels that are weighted differently",
    }
    for build, reason in cases.items():
        assert refused(build, (1, 8, 8, 4)) == [f"the shortcut {reason}"], build.__name__
    assert refused(behind_a_pooling, (1, 8, 8, 4)) == [
        "the shortcut is added behind a pooling: it spans more than a convolution"
    ]


def test_ordinary_residuals_are_not_its_business() -> None:
    def identity(emit, x):
        y = emit(conv(emit(conv(x, 4), "a"), 4), "b")
        return emit(add(x, y), "z")

    def projection(emit, x):
        y = emit(conv(emit(conv(x, 8, stride=2), "a"), 8), "b")
        return emit(add(emit(conv(x, 8, 1, stride=2), "p"), y), "z")

    assert refused(identity, (1, 6, 6, 4)) == []
    assert refused(projection, (1, 6, 6, 4)) == []


def test_int8_with_litert_rounding_is_refused() -> None:
    before = network(
        lambda emit, x: emit(add(emit(conv(x, 4), "y"), x), "z"), (1, 6, 6, 4), dtype="int8"
    )
    (decision,) = decisions(FuseShortcuts()(before))
    assert decision.action == "left alone"
    assert "LiteRT's rounding" in decision.reason


def concat_of(*operands):
    return make_call("concat", list(operands), axis=3)


def calls(mod):
    bindings = [binding for block in mod["main"].body.blocks for binding in block.bindings]
    found = [b.value for b in bindings if isinstance(b.value, Call)]
    return [call for call in found if call.op.name == "dero.shortcut_conv2d"]


def assert_close(before, after) -> None:
    inputs = random_inputs(before, 1)
    for old, new in zip(run(before, inputs), run(after, inputs), strict=True):
        np.testing.assert_allclose(new, old, rtol=1e-5, atol=1e-5)


def doubled(emit, x, times):
    for i in range(times):
        x = emit(add(x, x), f"d{i}")
    return x


def chained(emit, x, times):
    total = x
    for i in range(times):
        total = emit(add(total, emit(scaled(x, i + 2), f"s{i}")), f"t{i}")
    return total


@pytest.mark.parametrize(
    ("branch", "times", "reason"),
    [
        (doubled, 3, "weighted differently"),
        (doubled, 60, "a sum of too many channels"),
        (chained, 200, "weighted differently"),
        (chained, 600, "weighted differently"),
    ],
)
def test_sums_of_sums_end(branch, times, reason) -> None:
    """However many ways lead through a chain of additions, and however long it is."""

    def build(emit, x):
        return emit(add(emit(conv(x, 4), "y"), branch(emit, x, times)), "z")

    mod = network(build, (1, 4, 4, 4))
    (found,) = decisions(FuseShortcuts()(mod))
    assert found.action == "left alone" and reason in found.reason


def tabled(emit, x, times):
    for i in range(times):
        table = np.roll(np.arange(-128, 128), i + 1).astype("int8")
        x = emit(make_call("lookup", [x, relax.const(table)]), f"t{i}")
    return x


def multiplied(emit, x, times):
    for i in range(times):
        factor = relax.const(np.full((1, 1, 1, 1), 99, "int8"))
        x = emit(multiply(x, factor, rounding="single"), f"m{i}")
    return x


@pytest.mark.parametrize("branch", [tabled, multiplied])
@pytest.mark.parametrize(("times", "action"), [(235, "fused"), (900, "left alone")])
def test_long_int8_chains(branch, times, action) -> None:
    """They are read though Python's stack has no room, up to a kernel of hundreds of steps."""

    def build(emit, x):
        y = emit(conv(x, 4, rounding="single"), "y")
        return emit(add(y, branch(emit, x, times), rounding="single"), "z")

    mod = network(build, (1, 4, 4, 4), dtype="int8")
    (found,) = decisions(FuseShortcuts()(mod))
    assert found.action == action
    assert action == "fused" or "a chain of too many operators" in found.reason


@pytest.mark.parametrize("moved", [0, 3])
def test_int8_norm_that_may_leave_all_integers_as_they_are(moved) -> None:
    """One channel keeps one scale, so its norm is a table: often that of the identity."""
    table = np.roll(np.arange(-128, 128), moved).astype("int8")

    def build(emit, x):
        normalized = emit(make_call("lookup", [x, relax.const(table)]), "n")
        y = emit(conv(normalized, 4, rounding="single"), "y")
        return emit(add(y, emit(pad(x, 3, value=-5), "p"), rounding="single"), "z")

    before = network(build, (1, 6, 6, 1), dtype="int8")
    after = FuseShortcuts()(before)
    (call,) = calls(after)
    assert attributes_of(call)["normalisation"] == (0 if moved else -1)
    inputs = random_inputs(before, 1)
    np.testing.assert_array_equal(run(before, inputs)[0], run(after, inputs)[0])


@pytest.mark.parametrize("read_elsewhere", [False, True])
def test_int8_norm_of_the_sum(read_elsewhere) -> None:
    """The input of the next block is computed with the block, if nothing else reads the sum."""

    def build(emit, x):
        y = emit(conv(x, 4, rounding="single"), "y")
        z = emit(add(y, x, rounding="single"), "z")
        real = emit(make_call("dequantize", [z], scale=0.07, zero_point=3), "real")
        normal = emit(shifted(emit(scaled(real, vector(4, 1)), "s"), vector(4, 2)), "normal")
        steps = {"scale": 0.06, "zero_point": -4, "rounding": "half_even"}
        rounded = emit(make_call("quantize", [normal], **steps), "n")
        return emit(concat_of(rounded, z), "out") if read_elsewhere else rounded

    before = network(build, (1, 6, 6, 4), dtype="int8")
    after = FuseShortcuts()(before)
    (call,) = calls(after)
    assert len(attributes_of(call)["steps"]) == (1 if read_elsewhere else 2)
    assert ("dero.dequantize" in str(after)) == read_elsewhere
    (decision,) = decisions(after)
    assert decision.action == "fused"
    inputs = random_inputs(before, 1)
    np.testing.assert_array_equal(run(before, inputs)[0], run(after, inputs)[0])


def test_a_refusal_holds_for_readers_with_the_same_leaves_alone() -> None:
    """What one convolution's shortcut cannot be read through is another one's input."""

    def build(emit, x):
        bent = emit(make_call("unary", [x], function="tanh"), "t")
        branch = emit(scaled(emit(scaled(bent, 2), "s"), 3), "b")
        first = emit(add(emit(conv(x, 4), "k"), branch), "first")
        second = emit(add(emit(conv(bent, 4), "l"), branch), "second")
        return emit(concat_of(first, second), "z")

    found = decisions(FuseShortcuts()(network(build, (1, 4, 4, 4))))
    assert [decision.action for decision in found] == ["left alone", "fused"]
