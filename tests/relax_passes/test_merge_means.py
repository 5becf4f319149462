"""Two means added: merged where that is the same, left alone elsewhere."""

import numpy as np
import pytest
import tvm
from network_parts import add, network, random_inputs, run
from reorganized_parts import mean
from tvm import relax
from tvm.script import ir as I
from tvm.script import relax as R

from relax_passes.merge_means import MergeMeans
from relax_passes.operators import make_call

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
