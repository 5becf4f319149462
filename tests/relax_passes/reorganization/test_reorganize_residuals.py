"""Residuals moved to single convolutions: what is written, what it computes, what is refused."""

import numpy as np
import pytest
import tvm
from tvm import relax
from tvm.script import ir as I
from tvm.script import relax as R

from relax_passes.ir.attributes import REORGANIZATION, main_attribute, with_main_attribute
from relax_passes.ir.decisions import decisions
from relax_passes.operators import make_call
from relax_passes.reorganization.attribute import read_reorganization
from relax_passes.reorganization.cannot_reorganize import CannotReorganize
from relax_passes.reorganization.description import Choices, Convolution, KeptOperator
from relax_passes.reorganization.reorganize_residuals import ReorganizeResiduals
from relax_passes.residuals.classify_operators import ClassifyOperators
from relax_passes.residuals.identify_residuals import IdentifyResiduals
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
from tests.relax_passes.reorganization.reorganized_parts import (
    filled,
    mean,
    run_in_torch,
    scaled,
    shifted,
    sum_pool,
)
from tests.relax_passes.residuals.buffer_executor import execute

SHAPE = (1, 7, 6, 4)


def reorganize(mod, **choices):
    analyses = [IdentifyResiduals(), ClassifyOperators()]
    passes = [*analyses, ReorganizeResiduals(Choices(**choices))]
    after = tvm.transform.Sequential(passes)(mod)
    relax.analysis.well_formed(after)
    return after


def bare(mod):
    """Without what passes note, for comparisons of structure."""
    return with_main_attribute(without_findings(mod), REORGANIZATION, None)


def dense(x, units, seed=0):
    channels = int(x.ty.shape[-1])
    weight = np.random.default_rng(seed).standard_normal((units, channels)).astype("float32")
    return make_call("dense", [x, relax.const(weight), relax.const(np.ones(units, "float32"))])


def test_identity_and_projection():
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((1, 6, 5, 4), "float32")) -> R.Tensor((1, 3, 3, 6), "float32"):
            with R.dataflow():
                a = conv(x, 4, seed=1)
                b = conv(a, 4, seed=2)
                c = add(x, b, minimum=0)
                d = conv(c, 6, stride=2, seed=3, minimum=0)
                e = conv(d, 6, seed=4)
                p = conv(c, 6, 1, stride=2, seed=5)
                f = add(e, p)
                R.output(f)
            return f

    @I.ir_module
    class Expected:
        @R.function
        def main(x: R.Tensor((1, 6, 5, 4), "float32")) -> R.Tensor((1, 3, 3, 6), "float32"):
            with R.dataflow():
                a1 = scaled(x)
                a2 = shifted(a1)
                a3 = conv(a2, 4, seed=1)
                a4 = scaled(x)
                a5 = shifted(a4)
                a = add(a3, a5)
                b1 = scaled(a)
                b2 = shifted(b1)
                b3 = conv(b2, 4, seed=2, minimum=0)
                b4 = scaled(a)
                b5 = shifted(b4)
                b = add(b3, b5)
                d1 = scaled(b)
                d2 = shifted(d1)
                d3 = conv(d2, 6, stride=2, seed=3, minimum=0)
                d4 = sum_pool(b, 3, 2, (1, 1, 1, 1))
                d5 = filled(d4, 2)
                d6 = scaled(d5)
                d7 = shifted(d6)
                d = add(d3, d7)
                e1 = scaled(d)
                e2 = shifted(e1)
                e3 = conv(e2, 6, seed=4)
                e4 = scaled(d)
                e5 = shifted(e4)
                e = add(e3, e5)
                R.output(e)
            return e

    after = reorganize(Before)
    tvm.ir.assert_structural_equal(bare(after), Expected)
    assert {d.join: d.action for d in decisions(after)} == {"c": "removed", "f": "removed"}
    tvm.ir.assert_structural_equal(ReorganizeResiduals()(after), after)


def test_stem_has_one_shortcut_around_convolution_and_pooling():
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((1, 16, 16, 3), "float32")) -> R.Tensor((1, 4, 4, 4), "float32"):
            with R.dataflow():
                a = conv(x, 4, 7, stride=2, seed=1, minimum=0)
                m = max_pool(a)
                b = conv(m, 4, seed=2)
                c = add(b, m, minimum=0)
                R.output(c)
            return c

    @I.ir_module
    class Expected:
        @R.function
        def main(x: R.Tensor((1, 16, 16, 3), "float32")) -> R.Tensor((1, 4, 4, 4), "float32"):
            with R.dataflow():
                a1 = conv(x, 4, 7, stride=2, seed=1, minimum=0)
                m1 = max_pool(a1)
                s1 = sum_pool(x, 7, 2, (3, 3, 3, 3))
                s2 = filled(s1, 1)
                s3 = scaled(s2)
                s4 = shifted(s3)
                s5 = sum_pool(s4, 3, 2, (1, 1, 1, 1))
                s6 = scaled(s5)
                s7 = shifted(s6)
                m = add(m1, s7)
                b1 = scaled(m)
                b2 = shifted(b1)
                b3 = conv(b2, 4, seed=2, minimum=0)
                b4 = scaled(m)
                b5 = shifted(b4)
                b = add(b3, b5)
                R.output(b)
            return b

    after = reorganize(Before)
    tvm.ir.assert_structural_equal(bare(after), Expected)
    stem, block = convolutions(after)
    assert (stem.name, block.name) == ("stem.conv1", "stage1.block1.conv1")
    without = convolutions(reorganize(Before, shortcuts="stages"))
    assert [node.shortcut is None for node in without] == [True, False]


def convolutions(mod):
    nodes = read_reorganization(mod).architecture.nodes
    return [node for node in nodes if isinstance(node, Convolution)]


def max_pool(x):
    window = {"pool_size": (3, 3), "strides": (2, 2), "padding": (1, 1, 1, 1)}
    return make_call("pool2d", [x], kind="max", **window)


def residual_network(emit, x):
    """A strided bottleneck with a projection, folding, widening, a gate, a classifier."""
    a = emit(conv(x, 12, 1, seed=1, minimum=0, maximum=6), "a")
    b = emit(depthwise(a, seed=2, minimum=0, maximum=6), "b")
    c = emit(conv(b, 5, 1, seed=3), "c")
    m = emit(mean(c), "m")
    gate = emit(dense(m, 5), "g")
    gate = emit(make_call("unary", [gate], function="sigmoid"), "s")
    gate = emit(make_call("reshape", [gate], shape=(1, 1, 1, 5)), "r")
    c = emit(multiply(c, gate), "cg")
    d = emit(conv(c, 4, 1, stride=2, seed=4, minimum=0), "d")
    e = emit(conv(d, 8, 3, seed=5), "e")
    p = emit(conv(c, 8, 1, stride=2, seed=6), "p")
    f = emit(add(e, p), "f")
    f = emit(activation(f), "h")
    return emit(dense(emit(mean(f), "mf"), 3), "out")


@pytest.mark.parametrize(
    "choices",
    [
        {},
        {"normalization": "after"},
        {"normalization": None, "shortcuts": "none"},
        {"shortcuts": "stages", "shortcut_norms": "changed", "bias": False},
        {"join_activation": "sum"},
        {"normalization": "after", "join_activation": "dropped"},
    ],
)
def test_module_computes_what_its_description_says(choices):
    before = network(residual_network, SHAPE)
    after = reorganize(before, **choices)
    inputs = random_inputs(before)
    expected = run_in_torch(read_reorganization(after), *inputs)
    np.testing.assert_allclose(execute(after, inputs)[0], expected[0], rtol=2e-5, atol=2e-5)
    actions = {d.join: d.action for d in decisions(after)}
    assert actions == {"cg": "left alone", "f": "removed"}


def test_module_runs_in_tvm():
    def build(emit, x):
        b = emit(conv(emit(conv(x, 2, 1), "a"), 4), "b")
        return emit(add(x, b), "c")

    before = network(build, SHAPE)
    after = reorganize(before)
    inputs = random_inputs(before)
    np.testing.assert_allclose(
        run(after, inputs)[0], execute(after, inputs)[0], rtol=1e-5, atol=1e-5
    )


def test_weights_of_the_main_path_are_inherited():
    before = network(residual_network, SHAPE)
    network_before, network_after = (
        read_reorganization(reorganize(before, normalization=n)) for n in ("before", "after")
    )
    for node in network_before.architecture.nodes:
        if isinstance(node, Convolution):
            assert node.inherited
            bias = network_before.weights[f"{node.name}.bias"]
            np.testing.assert_array_equal(bias, network_after.weights[f"{node.name}.shift"])
    rng = np.random.default_rng(5)
    weight = rng.standard_normal((8, 3, 3, 4)).astype("float32") / 6
    found = network_before.weights["stage2.block1.conv2.weight"]
    np.testing.assert_allclose(found, weight)


def test_activation_after_a_join():
    before = network(residual_network, SHAPE)
    last = {
        where: convolutions(reorganize(before, join_activation=where))[-1]
        for where in ("convolution", "sum", "dropped")
    }
    relu = last["convolution"].activation
    assert (relu.minimum, relu.maximum) == (0.0, None)
    assert last["sum"].activation is None
    assert last["sum"].final_activation == relu
    assert last["dropped"].activation is last["dropped"].final_activation is None


def test_feature_pyramid_loses_its_skips_and_keeps_parallel_branches():
    def build(emit, x):
        a = emit(conv(x, 8, seed=1, minimum=0), "a")
        b = emit(conv(a, 8, stride=2, seed=2, minimum=0), "b")
        u = emit(make_call("resize2d", [b], size=(8, 8)), "u")
        j = emit(concat(u, a), "j")
        left, right = emit(conv(j, 4, 1, seed=3), "l"), emit(conv(j, 4, 1, seed=4), "r")
        c = emit(concat(left, right), "c")
        pyramid = emit(concat(c, emit(spread(c), "p")), "y")
        return emit(conv(pyramid, 6, 1, seed=5), "out")

    def spread(x):
        return make_call("pool2d", [x], kind="max", pool_size=(3, 3), padding=(1, 1, 1, 1))

    before = network(build, (1, 8, 8, 3))
    after = reorganize(before)
    assert {d.join: d.action for d in decisions(after)} == {
        "j": "removed",
        "c": "left alone",
        "y": "left alone",
    }
    nodes = {node.name: node for node in read_reorganization(after).architecture.nodes}
    assert nodes["head.conv1"].shortcut is None
    assert nodes["stage2.block1.conv1"].in_channels == 8
    inputs = random_inputs(before)
    expected = run_in_torch(read_reorganization(after), *inputs)
    np.testing.assert_allclose(execute(after, inputs)[0], expected[0], rtol=2e-5, atol=2e-5)


def refusal(build, *shapes, dtype="float32"):
    with pytest.raises(CannotReorganize) as caught:
        ReorganizeResiduals()(network(build, *(shapes or (SHAPE,)), dtype=dtype))
    return str(caught.value)


def test_refuses_networks_without_residuals():
    def chain(emit, x):
        return emit(conv(emit(conv(x, 4), "a"), 4), "b")

    def gated(emit, x):
        gate = emit(make_call("unary", [emit(conv(x, 4), "a")], function="sigmoid"), "g")
        return emit(multiply(x, gate), "c")

    assert refusal(chain) == "the network has no residual connection"
    message = refusal(gated)
    assert "that could be reorganized (c: a product is a gate" in message


def test_refuses_a_residual_around_no_convolution():
    def build(emit, x):
        a = emit(conv(x, 4, minimum=0), "a")
        b = emit(make_call("unary", [a], function="tanh"), "b")
        return emit(add(a, b), "c")

    assert "(c: it goes around no convolution, so there is none" in refusal(build)


def test_refuses_a_concatenation_that_is_the_output():
    def build(emit, x):
        a = emit(concat(x, emit(conv(x, 4), "a")), "b")
        return emit(concat(a, emit(conv(a, 4), "c")), "d")

    message = refusal(build)
    assert "d: the output d of shape [1, 7, 6, 12] would have" in message
    assert "b: the output d" in message and "fixes its channels" in message


def test_refuses_quantized_networks():
    def build(emit, x):
        b = emit(conv(emit(conv(x, 4), "a"), 4), "b")
        return emit(add(x, b), "c")

    assert "x is int8: a quantized network cannot be retrained" in refusal(build, dtype="int8")


KEPT = {
    "reduce": lambda x: make_call("reduce", [x], kind="max", axes=(1, 2)),
    "slice": lambda x: make_call("slice", [x], begin=(0,) * 4, end=(1, 3, 6, 4)),
    "transpose": lambda x: make_call("transpose", [x], axes=(0, 2, 1, 3)),
    "reshape": lambda x: make_call("reshape", [x], shape=(1, 42, 4)),
    "resize2d": lambda x: make_call("resize2d", [x], size=(9, 5)),
    "concat": lambda x: concat(x, x, axis=1),
}


@pytest.mark.parametrize("operator", KEPT)
def test_keeps_operators_that_have_no_node_of_their_own(operator):
    def build(emit, x):
        b = emit(conv(emit(conv(x, 4), "a"), 4), "b")
        return emit(KEPT[operator](emit(add(x, b), "c")), "d")

    before = network(build, SHAPE)
    after = reorganize(before)
    architecture = read_reorganization(after).architecture
    kept = [node for node in architecture.nodes if isinstance(node, KeptOperator)]
    assert [node.operator for node in kept] == [operator]
    assert [n.shortcut is not None for n in architecture.nodes if isinstance(n, Convolution)] == [
        True,
        True,
    ]
    assert str(after["main"].ret_ty) == str(before["main"].ret_ty)


def test_refuses_operators_of_tvm():
    def build(emit, x):
        b = emit(conv(emit(conv(x, 4), "a"), 4), "b")
        return emit(relax.op.nn.softplus(emit(add(x, b), "c")), "d")

    message = refusal(build)
    assert "operator softplus (d)" in message


def test_read_needs_the_pass():
    before = network(residual_network, SHAPE)
    with pytest.raises(ValueError, match="ReorganizeResiduals has not run"):
        read_reorganization(before)
    after = reorganize(before)
    description = main_attribute(after, REORGANIZATION)
    renamed = with_main_attribute(network(residual_network, SHAPE), REORGANIZATION, description)
    with pytest.raises(ValueError, match="passes after ReorganizeResiduals rewrote it"):
        read_reorganization(renamed)
