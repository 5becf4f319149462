"""The class of each operator, and of what is around a join."""

import tvm
from tvm import relax

from relax_passes.operators import make_call
from relax_passes.residuals.classify_operators import ClassifyOperators, operator_classes
from relax_passes.residuals.identify_residuals import IdentifyResiduals
from relax_passes.residuals.residual import read_residuals
from tests.relax_passes.network_parts import activation, add, concat, conv, depthwise, network

SHAPE = (1, 8, 6, 4)


def build(emit, x):
    s = emit(conv(x, 4), "s")
    p = emit(conv(s, 8, 1), "p")
    d = emit(depthwise(p), "d")
    b = emit(conv(d, 4, 1), "b")
    j = emit(add(s, b), "j")
    r = emit(activation(j), "r")
    n = emit(make_call("pool2d", [j], kind="max", pool_size=(3, 3), padding=(1, 1, 1, 1)), "n")
    c = emit(concat(r, n), "c")
    flat = emit(make_call("reshape", [c], shape=(1, 384)), "flat")
    t = emit(relax.op.negative(flat), "t")
    return relax.Tuple([t, j])


EXPECTED = {
    "s": "spatial convolution",
    "p": "pointwise convolution",
    "d": "depthwise convolution",
    "b": "pointwise convolution",
    "j": "elementwise",
    "r": "elementwise",
    "n": "pooling",
    "c": "concat",
    "flat": "layout",
    "t": "opaque",
}


def test_classes():
    mod = ClassifyOperators()(network(build, SHAPE))
    assert operator_classes(mod) == EXPECTED
    assert read_residuals(mod) == ()
    tvm.ir.assert_structural_equal(mod, ClassifyOperators()(mod))
    assert operator_classes(network(build, SHAPE)) == {}


def test_producers_and_consumers_of_joins():
    passes = tvm.transform.Sequential([IdentifyResiduals(), ClassifyOperators()])
    addition, concatenation = read_residuals(passes(network(build, SHAPE)))
    assert addition.producers == ("spatial convolution", "pointwise convolution")
    assert addition.consumers == ("elementwise", "pooling", "output")
    assert concatenation.producers == ("elementwise", "pooling")
    assert concatenation.consumers == ("layout",)


def test_an_input_has_its_own_word():
    def identity(emit, x):
        return emit(add(x, emit(conv(x, 4), "a")), "c")

    passes = tvm.transform.Sequential([IdentifyResiduals(), ClassifyOperators()])
    (found,) = read_residuals(passes(network(identity, SHAPE)))
    assert found.producers == ("input", "spatial convolution")
