"""Networks from the forms in which passes, TVM's included, leave modules."""

from dataclasses import replace

import pytest
from tvm import relax

import dero_tvm
from dero_tvm import UserError
from dero_tvm.schedule.extract import extract
from relax_passes.ir.outline import outline
from relax_passes.ir.straight_line import read_function, write_function
from tests.relax_passes.network_parts import add, conv, network


def test_results_of_a_cascade_returned_as_one_tuple():
    def build(emit, x):
        a = emit(conv(x, 4), "a")
        return a, emit(add(a, x), "b")

    mod = outline(network(build, (1, 6, 5, 4)), ["a", "b"], "unit", {"dero.cascade": "stream"})
    line = read_function(mod)
    ((whole, call), *_) = line.bindings
    returned = write_function(mod, replace(line, bindings=((whole, call),), result=whole))
    networks = [extract(mod), extract(returned)]
    assert networks[0].cascades == networks[1].cascades
    for found in networks:
        assert [port.value for port in found.outputs] == ["a", "b"]


def test_an_operator_of_tvm_with_several_results_is_refused() -> None:
    x = relax.Var("x", relax.TensorType((4,), "float32"))
    builder = relax.BlockBuilder()
    with builder.function("main", [x]):
        with builder.dataflow():
            grids = builder.emit(relax.op.meshgrid(relax.Tuple([x, x]), "ij"))
            out = builder.emit_output(relax.TupleGetItem(grids, 0))
        builder.emit_func_output(out)
    with pytest.raises(UserError, match="operator relax.meshgrid has several results"):
        dero_tvm.compile(builder.get())
