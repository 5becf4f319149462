"""The plain baseline: structure, widths, int8 scales, and what is left alone."""

import numpy as np
import pytest
import tvm
from tvm import relax
from tvm.script import ir as I
from tvm.script import relax as R

from dero_tvm.driver.prepare import prepare
from relax_passes.ir.decisions import decisions
from relax_passes.ir.operator_graph import operator_graph
from relax_passes.ir.straight_line import read_function, write_function
from relax_passes.operators import make_call
from relax_passes.reorganization import remove_residuals
from relax_passes.reorganization.remove_residuals import RemoveResiduals
from relax_passes.residuals.accumulate_residuals import AccumulateResiduals
from relax_passes.residuals.concat_in_place import ConcatInPlace
from relax_passes.residuals.identify_residuals import IdentifyResiduals
from relax_passes.residuals.residual import read_residuals
from tests.models.tflite_builder import TFLiteBuilder
from tests.relax_passes.network_parts import (
    SCALE,
    activation,
    add,
    concat,
    conv,
    depthwise,
    multiply,
    network,
    random_inputs,
    reason,
    verdicts,
    without_findings,
)
from tests.relax_passes.residuals.buffer_executor import execute

SHAPE = (1, 6, 5, 4)


def plain(build, *shapes, dtype="float32"):
    before = network(build, *(shapes or (SHAPE,)), dtype=dtype)
    after = RemoveResiduals()(before)
    relax.analysis.well_formed(after)
    tvm.ir.assert_structural_equal(after, RemoveResiduals()(after))
    return before, after


def operators(mod):
    return operator_graph(mod).operators_in_order()


def shape(mod, name):
    return operator_graph(mod)[name].spec.shape


def attribute(mod, name, key):
    return operator_graph(mod)[name].signature[key]


def test_identity_and_projection():
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((1, 6, 5, 4), "float32")) -> R.Tensor((1, 3, 3, 8), "float32"):
            with R.dataflow():
                a = conv(x, 4, seed=1)
                b = conv(a, 4, seed=2)
                c = add(x, b, minimum=0)
                d = conv(c, 8, stride=2, seed=3)
                p = conv(c, 8, 1, stride=2, seed=4)
                e = add(d, p)
                f = activation(e)
                R.output(f)
            return f

    @I.ir_module
    class Expected:
        @R.function
        def main(x: R.Tensor((1, 6, 5, 4), "float32")) -> R.Tensor((1, 3, 3, 8), "float32"):
            with R.dataflow():
                a = conv(x, 4, seed=1)
                b = conv(a, 4, seed=2, minimum=0)
                d = conv(b, 8, stride=2, seed=3)
                f = activation(d)
                R.output(f)
            return f

    after = RemoveResiduals()(Before)
    tvm.ir.assert_structural_equal(without_findings(after), Expected)
    assert verdicts(after) == {"c": "removed", "e": "removed"}
    assert "the projection shortcut was p" in decisions(after)[1].reason


def test_the_main_branch_may_be_the_network_output():
    def build(emit, x):
        b = emit(conv(emit(conv(x, 4), "a"), 4), "b")
        return emit(add(b, x), "c")

    _, after = plain(build)
    assert operators(after) == ["a", "b"]


@pytest.mark.parametrize("own", [{}, {"minimum": -1.0}, {"maximum": 0.5}, {"minimum": 2.0}])
def test_clamps_combine(own):
    """clamp(clamp(v, own), 0, 1), against NumPy."""

    def build(emit, x):
        b = emit(conv(emit(conv(x, 4, seed=1), "a"), 4, seed=2, **own), "b")
        return emit(add(x, b, minimum=0.0, maximum=1.0), "c")

    def bare(emit, x):
        b = emit(conv(emit(conv(x, 4, seed=1), "a"), 4, seed=2), "b")
        return b

    _, after = plain(build)
    assert operators(after) == ["a", "b"]
    without = network(bare, SHAPE)
    inputs = random_inputs(without)
    (values,) = execute(without, inputs)
    clamped = np.clip(values, own.get("minimum"), own.get("maximum")) if own else values
    np.testing.assert_array_equal(execute(after, inputs)[0], np.clip(clamped, 0.0, 1.0))


def test_clamp_of_a_shared_main_branch_is_an_operator_of_its_own():
    def build(emit, x):
        b = emit(conv(emit(conv(x, 4, seed=1), "a"), 4, seed=2), "b")
        c = emit(add(x, b, minimum=0), "c")
        return relax.Tuple([emit(conv(c, 2), "d"), b])

    _, after = plain(build)
    assert operators(after) == ["a", "b", "c", "d"]
    graph = operator_graph(after)
    assert graph["c"].operator == "dero.unary"
    assert attribute(after, "c", "function") == "clip"
    assert attribute(after, "b", "minimum") is None


def test_a_value_that_stands_for_several_joins_is_not_clamped_twice():
    """d and c both become b; b is read by e as c, so d's clamp must not reach it."""

    def build(emit, x):
        b = emit(conv(emit(conv(x, 4, seed=1), "a"), 4, seed=2), "b")
        c = emit(add(x, b), "c")
        e = emit(conv(c, 4, seed=3), "e")
        d = emit(add(c, emit(conv(x, 4, 1, seed=4), "p"), minimum=0), "d")
        return relax.Tuple([d, e])

    _, after = plain(build)
    assert attribute(after, "b", "minimum") is None
    assert operator_graph(after)["e"].operands[0] == "b"


@pytest.mark.parametrize("scale_b", [SCALE, 2 * SCALE, 0.3141 * SCALE])
@pytest.mark.parametrize("shared", [False, True])
def test_int8_takes_the_scale_of_the_sum(scale_b, shared):
    """q_z = round((q_b - zero_b) * scale_b / scale_z) + zero_z, up to the rounding of a factor."""

    def main_branch(emit, x, **attrs):
        a = emit(conv(x, 4, seed=1), "a")
        return emit(conv(a, 4, seed=2, output_zero_point=-3, minimum=-100, **attrs), "b")

    def build(emit, x):
        b = main_branch(emit, x)
        c = add(x, b, scale_b=scale_b, zero_points=(0, -3, 5), minimum=5, maximum=90)
        c = emit(c, "c")
        return relax.Tuple([c, b]) if shared else c

    _, after = plain(build, dtype="int8")
    assert operators(after) == (["a", "b", "c"] if shared else ["a", "b"])
    reference = network(main_branch, SHAPE, dtype="int8")
    inputs = random_inputs(reference)
    (values,) = execute(reference, inputs)
    expected = np.floor((values.astype(float) + 3) * scale_b / SCALE + 0.5) + 5
    difference = execute(after, inputs)[0].astype(int) - np.clip(expected, 5, 90)
    # A factor of the convolution rounds once, b and then c would round twice.
    assert np.abs(difference).max() <= (0 if shared else np.ceil(scale_b / SCALE / 2))
    if not shared:
        assert attribute(after, "b", "output_zero_point") == 5
        factors = operator_graph(after)["b"].call.args[3].value.numpy()
        assert factors.min() >= 1 << 30


def dense_block(emit, x, tail):
    c = emit(conv(x, 4, seed=1), "s")
    for i in range(2):
        scale = emit(multiply(c, relax.const(np.arange(1.0, 5 + 2 * i, dtype="float32"))), f"m{i}")
        r = emit(activation(scale), f"r{i}")
        n = emit(conv(emit(conv(r, 6, 1, seed=i), f"p{i}"), 2, seed=i), f"n{i}")
        c = emit(concat(c, n), f"c{i}")
    return tail(emit, c)


def test_dense_block_becomes_a_chain():
    before, after = plain(lambda emit, x: dense_block(
        emit, x, lambda emit, c: emit(conv(c, 3, seed=7), "d")))  # fmt: skip
    assert verdicts(after) == {"c0": "removed", "c1": "removed"}
    assert operators(after) == ["s", "m0", "r0", "p0", "n0", "m1", "r1", "p1", "n1", "d"]
    assert shape(after, "m1")[-1] == 2
    # The constants that belong to the remaining channels: n0 was channels 4 and 5 of c0.
    (scales,) = list(operator_graph(after)["m1"].call.args[1:])
    np.testing.assert_array_equal(scales.value.numpy(), [5.0, 6.0])
    old, new = (operator_graph(m)["d"].call.args[1].value.numpy() for m in (before, after))
    np.testing.assert_array_equal(new, old[..., 6:8])
    execute(after, random_inputs(after))


def test_width_passes_through_to_the_classifier():
    """Depthwise convolution, pool, reshape and dense all follow the missing channels."""

    def tail(emit, c):
        d = emit(depthwise(c, seed=3), "d")
        pool = emit(make_call("pool2d", [d], kind="max", pool_size=(2, 2), strides=(2, 2)), "pool")
        padded = emit(make_call("pad", [pool], pad_before=(0, 1, 0, 0), pad_after=(0, 0, 0, 0)),
                      "padded")  # fmt: skip
        flat = emit(make_call("reshape", [padded], shape=(1, 4 * 2 * 8)), "flat")
        rng = np.random.default_rng(0)
        weight = relax.const(rng.standard_normal((3, 64)).astype("float32"))
        return emit(make_call("dense", [flat, weight, relax.const(np.zeros(3, "float32"))]), "out")

    before, after = plain(lambda emit, x: dense_block(emit, x, tail))
    assert shape(after, "d") == (1, 6, 5, 2)
    assert attribute(after, "d", "groups") == 2
    assert shape(after, "flat") == (1, 16)
    old, new = (operator_graph(m)["out"].call.args[1].value.numpy() for m in (before, after))
    np.testing.assert_array_equal(new, old.reshape(3, 8, 8)[..., 6:].reshape(3, 16))
    execute(after, random_inputs(after))


def test_mean_over_pixels_and_several_main_branches():
    """Of concat(x, f(x), g(x)) both f and g are new, and stay concatenated."""

    def build(emit, x):
        s = emit(conv(x, 4), "s")
        f, g = emit(conv(s, 2, seed=1), "f"), emit(conv(s, 3, seed=2), "g")
        c = emit(concat(s, f, g), "c")
        mean = emit(make_call("reduce", [c], kind="mean", axes=(1, 2), keepdims=True), "mean")
        return emit(conv(mean, 2, 1, seed=3), "d")

    before, after = plain(build)
    assert shape(after, "c")[-1] == 5
    assert shape(after, "mean") == (1, 1, 1, 5)
    old, new = (operator_graph(m)["d"].call.args[1].value.numpy() for m in (before, after))
    np.testing.assert_array_equal(new, old[..., 4:])


def test_cascades_and_slices_are_taken_back():
    def build(emit, x):
        s = emit(conv(x, 4), "s")
        b = emit(conv(emit(conv(s, 4), "a"), 4), "b")
        z = emit(add(s, b), "z")
        u, v = emit(conv(z, 2, seed=1), "u"), emit(conv(z, 2, seed=2), "v")
        return emit(conv(emit(concat(u, v), "c"), 2), "d")

    before = IdentifyResiduals()(network(build, SHAPE))
    rewritten = ConcatInPlace()(AccumulateResiduals()(before))
    after = RemoveResiduals()(rewritten)
    assert len(after.functions) == 1
    assert attribute(after, "c", "in_place") is False
    tvm.ir.assert_structural_equal(
        without_findings(after), without_findings(RemoveResiduals()(before))
    )
    assert [r.join for r in read_residuals(after)] == ["c"]
    assert {d.pass_name for d in decisions(after)} == {remove_residuals.NAME}


# --- what is left alone --------------------------------------------------------------------


def test_leaves_parallel_branches():
    def build(emit, x):
        a, b = emit(conv(x, 2, seed=1), "a"), emit(conv(x, 2, seed=2), "b")
        return emit(concat(a, b), "c")

    before, after = plain(build)
    assert reason(after) == "its branches are parallel: none is a shortcut"
    unchanged = write_function(before, read_function(before))
    tvm.ir.assert_structural_equal(without_findings(after), unchanged)


def test_leaves_gates_and_differences():
    def build(emit, x):
        s = emit(conv(x, 4), "s")
        m = emit(multiply(s, emit(conv(emit(activation(s), "r"), 4), "g")), "m")
        return emit(make_call("subtract", [m, emit(conv(emit(conv(m, 4), "h"), 4), "k")]), "c")

    _, after = plain(build)
    assert "dero.multiply is a gate or a difference" in reason(after, "m")
    assert "dero.subtract is a gate or a difference" in reason(after)


def test_leaves_broadcasts():
    def build(emit, x):
        mean = emit(make_call("reduce", [x], kind="mean", axes=(1, 2), keepdims=True), "mean")
        wide = emit(conv(emit(conv(mean, 4, 1), "a"), 4, 1), "wide")
        return emit(add(x, wide), "c")

    _, after = plain(build)
    assert reason(after) == "its main branch wide has another shape than the sum"


def test_leaves_widths_that_reach_the_output():
    _, after = plain(lambda emit, x: emit(concat(x, emit(conv(x, 2), "a")), "c"))
    assert reason(after) == "an output of the network would lose channels"


def test_leaves_rows():
    _, after = plain(lambda emit, x: emit(concat(x, emit(conv(x, 4), "a"), axis=1), "c"))
    assert reason(after) == "it concatenates along another axis than the channels"


@pytest.mark.parametrize(
    ("follow", "message"),
    [
        (lambda emit, c: conv(c, 4, groups=2), "a convolution in 2 groups cannot lose"),
        (
            lambda emit, c: make_call("reshape", [c], shape=(1, 6, 5, 2, 4)),
            "a reshape splits the channels (channel shuffle)",
        ),
        (
            lambda emit, c: make_call("transpose", [c], axes=(0, 1, 3, 2)),
            "a transpose moves the channels",
        ),
        (
            lambda emit, c: make_call("slice", [c], begin=(0, 0, 0, 0), end=(1, 6, 5, 4),
                                      strides=(1, 1, 1, 1)),
            "channels are split by a slice",
        ),
        (
            lambda emit, c: make_call("pad", [c], pad_before=(0, 0, 0, 1),
                                      pad_after=(0, 0, 0, 1)),
            "channels are padded",
        ),
        (lambda emit, c: make_call("reduce", [c], kind="max", axes=(3,)), "runs over channels"),
        (lambda emit, c: make_call("softmax", [c]), "dero.softmax mixes or counts channels"),
        (lambda emit, c: relax.op.negative(c), "computed by TVM's own operators"),
        (
            lambda emit, c: multiply(c, emit(conv(c, 8, seed=5), "wide")),
            "its other operand keeps other channels",
        ),
    ],
)  # fmt: skip
def test_leaves_widths_that_cannot_be_absorbed(follow, message):
    def build(emit, x):
        c = emit(concat(emit(conv(x, 4), "s"), emit(conv(x, 4, 1), "t")), "first")
        n = emit(conv(c, 4, seed=1), "n")
        m = emit(conv(n, 4, seed=2), "m")
        c = emit(concat(n, m), "c")
        return emit(follow(emit, c), "f")

    before, after = plain(build)
    assert message in reason(after)
    assert shape(after, "f") == shape(before, "f")


@pytest.mark.parametrize("ratio", [0.37, 1.0, 60.0, 5000.0])
def test_int16_takes_the_scale_of_the_sum(ratio):
    builder = TFLiteBuilder()
    x = builder.input("x", (1, 3, 4, 2), "int16", scale=0.01, zero_point=0)
    pool, total = (
        builder.tensor(name, (1, 3, 4, 2), "int16", scale=scale, zero_point=0)
        for name, scale in (("p", 0.01), ("y", 0.01 / ratio))
    )
    sizes = {"filter_width": 3, "filter_height": 3, "stride_w": 1, "stride_h": 1}
    builder.operator("MAX_POOL_2D", [x], [pool], padding="SAME", **sizes)
    builder.operator("ADD", [pool, x], [total], fused_activation_function="RELU")
    canonical = prepare(builder.build([total])).canonical
    after = RemoveResiduals()(canonical)
    data = np.random.default_rng(0).integers(-32768, 32768, (1, 3, 4, 2)).astype("int16")
    (made,) = execute(after, [data])
    padded = np.pad(data, [(0, 0), (1, 1), (1, 1), (0, 0)], constant_values=-32768)
    pooled = np.max([padded[:, i : i + 3, j : j + 4] for i in range(3) for j in range(3)], axis=0)
    difference = made - np.clip(np.floor(pooled * ratio + 0.5), 0, 32767)
    assert np.abs(difference).max() <= 1
