"""The operator graph and the normal form it is read from."""

import pytest
import tvm
from tvm import relax
from tvm.script import ir as I
from tvm.script import relax as R

from relax_passes.ir.operator_graph import (
    is_concat_join,
    is_elementwise_join,
    operator_graph,
    operators_in_order,
    readers,
)
from relax_passes.ir.outline import outline
from relax_passes.ir.straight_line import read_function, unique_names, write_function
from relax_passes.operators import OperatorClass
from tests.relax_passes.network_parts import add, concat, conv, network

SHAPE = (1, 6, 5, 4)


def residual_network():
    def build(emit, x):
        a = emit(conv(x, 4), "a")
        b = emit(conv(a, 4, 1), "b")
        return emit(add(x, b), "c")

    return network(build, SHAPE)


def test_nodes_and_edges():
    graph = operator_graph(residual_network())
    assert operators_in_order(graph) == ["a", "b", "c"]
    assert set(graph) == {"x", "a", "b", "c", "return[0]"}
    assert graph.graph["inputs"] == ("x",)
    assert graph.graph["outputs"] == ("c",)
    a = graph.nodes["a"]
    assert (a["kind"], a["operator"], a["index"]) == ("operator", "dero.conv2d", 0)
    assert a["operator_class"] is OperatorClass.SPATIAL
    assert a["bytes"] == 6 * 5 * 4 * 4
    assert a["macs"] == 6 * 5 * 4 * 9 * 4
    assert a["operands"] == ("x", None, None)
    assert a["signature"].output.shape == SHAPE
    assert graph.nodes["x"]["kind"] == "input"
    assert graph.edges["x", "c"]["arguments"] == (0,)
    assert readers(graph, "x") == ["a", "c"]
    assert readers(graph, "c") == ["return[0]"]


def test_joins_have_two_computed_operands():
    def build(emit, x):
        doubled = emit(add(x, x), "doubled")
        shifted = emit(add(doubled, relax.const([1.0, 2, 3, 4], "float32")), "shifted")
        wide = emit(concat(doubled, shifted), "wide")
        return emit(concat(wide, wide), "wider")

    graph = operator_graph(network(build, SHAPE))
    assert not any(is_elementwise_join(graph, node) for node in graph)
    assert [node for node in graph if is_concat_join(graph, node)] == ["wide"]


def test_cascades_are_nodes_unless_flattened():
    mod = outline(residual_network(), ["b", "c"], "unit", {"dero.cascade": "accumulate",
                                                           "dero.in_place": 1})  # fmt: skip
    graph = operator_graph(mod)
    assert operators_in_order(graph) == ["a", "c"]
    node = graph.nodes["c"]
    assert (node["kind"], node["operator"], node["in_place"]) == ("cascade", "unit", "x")
    assert node["operator_class"] is OperatorClass.ELEMENTWISE
    assert node["macs"] == 6 * 5 * 4 * 4
    assert operators_in_order(operator_graph(mod, flatten=True)) == ["a", "b", "c"]


def test_plain_relax_operators_are_opaque():
    def build(emit, x):
        parts = emit(relax.op.split(x, 2, axis=3), "parts")
        left, right = emit(parts[0], "left"), emit(parts[1], "right")
        both = emit(relax.Tuple([left, right]), "both")
        return emit(relax.op.concat(both, axis=3), "joined")

    graph = operator_graph(network(build, SHAPE))
    assert graph.nodes["parts"]["operator_class"] is OperatorClass.OPAQUE
    assert graph.nodes["parts"]["bytes"] == 6 * 5 * 4 * 4
    assert graph.nodes["parts"]["spec"] is None
    assert graph.nodes["joined"]["operands"] == ("left", "right")
    assert graph.nodes["joined"]["signature"] is None


def test_names_bound_to_names_and_tuples_disappear():
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((1, 6, 5, 4), "float32")) -> R.Tensor((1, 6, 5, 4), "float32"):
            with R.dataflow():
                a = conv(x, 4)
                both = (x, a)
                same = both
                left = same[0]
                c = add(left, both[1])
                R.output(c)
            return c

    line = read_function(Before)
    assert [var.name for var, _ in line.bindings] == ["a", "c"]

    @I.ir_module
    class Expected:
        @R.function
        def main(x: R.Tensor((1, 6, 5, 4), "float32")) -> R.Tensor((1, 6, 5, 4), "float32"):
            with R.dataflow():
                a = conv(x, 4)
                c = add(x, a)
                R.output(c)
            return c

    after = write_function(Before, line)
    tvm.ir.assert_structural_equal(after, Expected)
    relax.analysis.well_formed(after)


def test_unique_names():
    a, twin = (relax.DataflowVar("a", relax.TensorType(SHAPE, "float32")) for _ in range(2))
    mod = residual_network()
    line = read_function(mod)
    renamed = write_function(
        mod,
        type(line)(
            line.parameters,
            ((a, line.bindings[0][1]), (twin, conv_of(a)), (relax.Var("a_1", a.ty), conv_of(twin))),
            a,
        ),
    )
    with pytest.raises(ValueError, match="two tensors of main are called 'a'"):
        operator_graph(renamed)
    unique = unique_names(renamed)
    assert operators_in_order(operator_graph(unique)) == ["a", "a_2", "a_1"]
    assert unique_names(unique).same_as(unique)


def conv_of(x):
    return relax.BlockBuilder().normalize(conv(x, 4))


def test_errors_are_clear():
    with pytest.raises(ValueError, match="no function 'main'"):
        operator_graph(tvm.IRModule())

    @I.ir_module
    class Branching:
        @R.function
        def main(flag: R.Tensor((), "bool"), x: R.Tensor((2, 2), "float32")) -> R.Tensor(
            (2, 2), "float32"
        ):
            if flag:
                y = R.add(x, x)
            else:
                y = R.multiply(x, x)
            return y

    with pytest.raises(ValueError, match="'y' is a conditional"):
        operator_graph(Branching)
