"""IntegerInterface: conversions at a network's borders, and those that have to stay."""

from __future__ import annotations

import numpy as np
import tvm
from tvm import relax
from tvm.script import ir as I
from tvm.script import relax as R

from relax_passes.canonicalization.integer_interface import IntegerInterface
from relax_passes.ir.port_quantization import port_quantization
from relax_passes.ir.straight_line import read_function, write_function
from relax_passes.operators import make_call
from tests.relax_passes.network_parts import SCALE, activation, conv, network, random_inputs, run

SHAPE = (1, 4, 3, 2)


def quantize(x, zero_point=0, scale=SCALE):
    return make_call("quantize", [x], scale=scale, zero_point=zero_point, rounding="half_away")


def dequantize(x, zero_point=0, scale=SCALE):
    return make_call("dequantize", [x], scale=scale, zero_point=zero_point)


def integers(build, *shapes):
    before = network(build, *(shapes or (SHAPE,)))
    after = IntegerInterface()(before)
    relax.analysis.well_formed(after)
    tvm.ir.assert_structural_equal(IntegerInterface()(after), after)
    return before, after


def straight(mod):
    """`mod` in the spelling of the passes."""
    return write_function(mod, read_function(mod))


def records(mod, kind):
    return [
        (index, round(scale, 6), zero_point)
        for index, (scale, zero_point) in port_quantization(mod, kind).items()
    ]


def types(mod):
    main = mod["main"]
    result = main.ret_ty
    fields = result.fields if isinstance(result, relax.TupleType) else [result]
    return [str(p.ty.dtype) for p in main.params], [str(f.dtype) for f in fields]


def test_before_and_after():
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((1, 4, 3, 2), "float32")) -> R.Tensor((1, 4, 3, 2), "float32"):
            with R.dataflow():
                q = quantize(x, 3)
                a = conv(q, 2)
                y = dequantize(a, -5)
                R.output(y)
            return y

    @I.ir_module
    class Expected:
        @R.function
        def main(x: R.Tensor((1, 4, 3, 2), "int8")) -> R.Tensor((1, 4, 3, 2), "int8"):
            with R.dataflow():
                a = conv(x, 2)
                R.output(a)
            return a

    after = IntegerInterface()(Before)
    assert records(after, "input") == [(0, SCALE, 3)]
    assert records(after, "output") == [(0, SCALE, -5)]
    bare = after.clone()
    bare["main"] = after["main"].without_attr("dero.input_quantization")
    bare["main"] = bare["main"].without_attr("dero.output_quantization")
    tvm.ir.assert_structural_equal(bare, Expected)
    tvm.ir.assert_structural_equal(IntegerInterface()(after), after)


def test_the_same_integers():
    def build(emit, x):
        q = emit(quantize(x, 3), "q")
        return emit(dequantize(emit(activation(emit(conv(q, 2), "a")), "b"), -5), "y")

    before, after = integers(build)
    (x,) = random_inputs(before)
    q = np.clip(np.trunc(x / SCALE + np.copysign(0.5, x)) + 3, -128, 127).astype("int8")
    (y,), (p,) = run(before, [x]), run(after, [q])
    assert p.dtype == np.int8
    np.testing.assert_allclose((p.astype("float32") + 5) * np.float32(SCALE), y, rtol=1e-6)


def test_an_input_with_another_reader_stays():
    def build(emit, x):
        q = emit(quantize(x), "q")
        a = emit(dequantize(emit(conv(q, 2), "a")), "y")
        return emit(make_call("add", [a, x]), "z")

    before, after = integers(build)
    assert types(after) == types(before) == (["float32"], ["float32"])
    tvm.ir.assert_structural_equal(after, straight(before))


def test_an_input_quantized_twice_stays():
    def build(emit, x):
        a = emit(conv(emit(quantize(x), "q"), 2), "a")
        b = emit(conv(emit(quantize(x, 1), "r"), 2), "b")
        return relax.Tuple([emit(dequantize(a), "y"), emit(dequantize(b), "z")])

    _, after = integers(build)
    assert types(after) == (["float32"], ["int8", "int8"])
    assert records(after, "input") == []
    assert [index for index, *_ in records(after, "output")] == [0, 1]


def test_an_input_that_is_returned_stays():
    def build(emit, x):
        return relax.Tuple([emit(dequantize(emit(conv(emit(quantize(x), "q"), 2), "a")), "y"), x])

    _, after = integers(build)
    assert types(after) == (["float32"], ["int8", "float32"])
    assert records(after, "output") == [(0, SCALE, 0)]


def test_indices_are_those_of_the_interface():
    def build(emit, x, y):
        a = emit(make_call("unary", [x], function="relu"), "a")
        b = emit(conv(emit(quantize(y, 7), "q"), 2), "b")
        return relax.Tuple([a, emit(dequantize(b, 9), "z")])

    _, after = integers(build, SHAPE, SHAPE)
    assert types(after) == (["float32", "int8"], ["float32", "int8"])
    assert records(after, "input") == [(1, SCALE, 7)]
    assert records(after, "output") == [(1, SCALE, 9)]


def test_a_dequantized_tensor_that_is_read_inside_as_well():
    def build(emit, x):
        y = emit(dequantize(emit(conv(emit(quantize(x), "q"), 2), "a")), "y")
        return relax.Tuple([y, emit(make_call("unary", [y], function="exp"), "z")])

    before, after = integers(build)
    assert types(after) == (["int8"], ["int8", "float32"])
    (x,) = random_inputs(before)
    q = np.clip(np.trunc(x / SCALE + np.copysign(0.5, x)), -128, 127).astype("int8")
    np.testing.assert_array_equal(run(after, [q])[1], run(before, [x])[1])


def test_networks_without_conversions_are_left_alone():
    def build(emit, x):
        return emit(make_call("unary", [x], function="relu"), "y")

    before, after = integers(build)
    tvm.ir.assert_structural_equal(after, straight(before))
