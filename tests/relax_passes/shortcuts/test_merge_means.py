"""Two means added: merged where that is the same, left alone elsewhere."""

import numpy as np
import pytest
import tvm
from tvm import relax
from tvm.script import ir as I
from tvm.script import relax as R

from relax_passes.operators import make_call
from relax_passes.shortcuts.merge_means import MergeMeans
from tests.relax_passes.network_parts import add, network, random_inputs, run
from tests.relax_passes.reorganization.reorganized_parts import mean

SHAPE = (1, 3, 4, 2)


def test_merges():
    @I.ir_module
    class Before:
        @R.function
        def main(
            x: R.Tensor((1, 3, 4, 2), "float32"), y: R.Tensor((1, 3, 4, 2), "float32")
        ) -> R.Tensor((1, 2), "float32"):
            with R.dataflow():
                a = mean(x)
                b = mean(y)
                c = add(a, b, minimum=0.0)
                R.output(c)
            return c

    @I.ir_module
    class Expected:
        @R.function
        def main(
            x: R.Tensor((1, 3, 4, 2), "float32"), y: R.Tensor((1, 3, 4, 2), "float32")
        ) -> R.Tensor((1, 2), "float32"):
            with R.dataflow():
                s = add(x, y)
                c = make_call("reduce", [s], kind="mean", axes=(1, 2), minimum=0.0)
                R.output(c)
            return c

    after = MergeMeans()(Before)
    tvm.ir.assert_structural_equal(after, Expected)
    tvm.ir.assert_structural_equal(MergeMeans()(after), after)
    inputs = random_inputs(Before)
    expected = np.maximum(sum(array.mean((1, 2)) for array in inputs), 0)
    for mod in (Before, after):
        np.testing.assert_allclose(run(mod, inputs)[0], expected, rtol=1e-5, atol=1e-6)


def clamped(emit, x, y):
    a = emit(make_call("reduce", [x], kind="mean", axes=(1, 2), minimum=0.0), "a")
    b = emit(make_call("reduce", [y], kind="mean", axes=(1, 2), minimum=0.0), "b")
    return emit(add(a, b), "c")


def maxima(emit, x, y):
    a = emit(make_call("reduce", [x], kind="max", axes=(1, 2)), "a")
    b = emit(make_call("reduce", [y], kind="max", axes=(1, 2)), "b")
    return emit(add(a, b), "c")


def over_other_axes(emit, x, y):
    a = emit(make_call("reduce", [x], kind="mean", axes=(1, 2)), "a")
    b = emit(make_call("reduce", [y], kind="mean", axes=(-3, 2)), "b")
    return emit(add(a, b), "c")


def with_another_reader(emit, x, y):
    a, b = emit(mean(x), "a"), emit(mean(y), "b")
    return relax.Tuple([emit(add(a, b), "c"), a])


def twice_the_same(emit, x, y):
    a = emit(mean(x), "a")
    return relax.Tuple([emit(add(a, a), "c"), y])


@pytest.mark.parametrize(
    "build", [clamped, maxima, over_other_axes, with_another_reader, twice_the_same]
)
def test_leaves_alone(build):
    mod = network(build, SHAPE, SHAPE)
    tvm.ir.assert_structural_equal(MergeMeans()(mod), mod)


def pool(x, size=2, **attrs):
    window = {"pool_size": (size, size), "strides": (2, 2), "padding": (0,) * 4}
    return make_call("pool2d", [x], kind="average", **(window | attrs))


def scaled(x, factor):
    return make_call("multiply", [x, relax.const(np.atleast_1d(np.float32(factor)))])


def pair(emit, x, y):
    """A transition: both halves pooled, the shortcut normalised behind its pooling."""
    norm = emit(scaled(emit(pool(y), "b"), [2.0, 3.0, 0.5, 1.5]), "m")
    norm = emit(make_call("add", [norm, relax.const(np.float32([1, 2, 3, 4]))]), "n")
    return emit(add(norm, emit(pool(x), "a")), "c")


def sums(emit, x, y):
    """A sum of windows on one side, an average on the other."""
    return emit(add(emit(scaled(emit(pool(x), "a"), 4.0), "s"), emit(pool(y), "b")), "c")


def numbers(emit, x, y):
    """A factor and a summand without axes."""
    halved = emit(make_call("multiply", [emit(pool(y), "b"), relax.const(0.5, "float32")]), "h")
    moved = emit(make_call("add", [halved, relax.const(1.0, "float32")]), "m")
    return emit(add(emit(pool(x), "a"), moved), "c")


def folded(emit, x, y):
    """Slices of one pooled tensor."""
    b = emit(pool(y), "b")
    parts = [
        emit(make_call("slice", [b], begin=(0, 0, 0, i), end=(1, 2, 2, i + 2)), f"s{i}")
        for i in (0, 2)
    ]
    total = emit(add(*parts), "t")
    wide = emit(
        make_call("pad", [total], pad_before=(0,) * 4, pad_after=(0, 0, 0, 2), value=0.0), "w"
    )
    return emit(add(emit(pool(x), "a"), wide), "c")


def flat(emit, x, y):
    """Both averages flattened before the addition."""
    halves = []
    for name, tensor in (("a", x), ("b", y)):
        a = emit(make_call("reduce", [tensor], kind="mean", axes=(1, 2), keepdims=True), name)
        halves.append(emit(make_call("reshape", [a], shape=(1, 4)), f"{name}f"))
    return emit(add(*halves), "c")


@pytest.mark.parametrize("build", [pair, sums, numbers, folded, flat])
def test_chains_on_means(build):
    before = network(build, (1, 4, 4, 4), (1, 4, 4, 4))
    after = MergeMeans()(before)
    names = [b.value.op.name for block in after["main"].body.blocks for b in block.bindings]
    assert sum(name in ("dero.pool2d", "dero.reduce") for name in names) == 1
    inputs = random_inputs(before)
    np.testing.assert_allclose(run(after, inputs)[0], run(before, inputs)[0], rtol=1e-5, atol=1e-5)


def borders(emit, x, y):
    """A summand behind windows that reach over the border."""
    frame = {"padding": (1, 1, 1, 1), "count_include_pad": True}
    b = emit(make_call("add", [emit(pool(y, 3, **frame), "b"), relax.const(np.ones(4, "f4"))]), "n")
    return emit(add(emit(pool(x, 3, **frame), "a"), b), "c")


def other_windows(emit, x, y):
    return emit(add(emit(pool(x), "a"), emit(pool(y, 3, padding=(1, 1, 0, 0)), "b")), "c")


@pytest.mark.parametrize("build", [borders, other_windows])
def test_windows_left_alone(build):
    before = network(build, (1, 4, 4, 4), (1, 4, 4, 4))
    tvm.ir.assert_structural_equal(MergeMeans()(before), before)
