"""Networks from the forms in which passes, TVM's included, leave modules."""

from dataclasses import replace

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
