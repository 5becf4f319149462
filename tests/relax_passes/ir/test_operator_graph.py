"""The operator graph and the normal form it is read from."""

import pytest
import tvm
from tvm import relax
from tvm.script import ir as I
from tvm.script import relax as R

from relax_passes.ir.operator_graph import operator_graph
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
    assert graph.operators_in_order() == ["a", "b", "c"]
    assert set(graph) == {"x", "a", "b", "c", "return[0]"}
    assert graph.inputs == ("x",)
    assert graph.outputs == ("c",)
    a = graph["a"]
    assert (a.kind, a.operator, a.index) == ("operator", "dero.conv2d", 0)
    assert a.operator_class is OperatorClass.SPATIAL
    assert a.bytes == 6 * 5 * 4 * 4
    assert a.operands == ("x", None, None)
    assert a.signature.output.shape == SHAPE
    assert graph["x"].kind == "input"
    assert graph.arguments("x", "c") == (0,)
    assert graph.readers("x") == ["a", "c"]
    assert graph.readers("c") == ["return[0]"]


def test_joins_have_two_computed_operands():
    def build(emit, x):
        doubled = emit(add(x, x), "doubled")
        shifted = emit(add(doubled, relax.const([1.0, 2, 3, 4], "float32")), "shifted")
        wide = emit(concat(doubled, shifted), "wide")
        return emit(concat(wide, wide), "wider")

    graph = operator_graph(network(build, SHAPE))
    assert not any(node.is_elementwise_join for node in graph.values())
    assert [name for name, node in graph.items() if node.is_concat_join] == ["wide"]


def test_cascades_are_nodes_unless_flattened():
    mod = outline(residual_network(), ["b", "c"], "unit", {"dero.cascade": "accumulate",
                                                           "dero.in_place": 1})  # fmt: skip
    graph = operator_graph(mod)
    assert graph.operators_in_order() == ["a", "c"]
    node = graph["c"]
    assert (node.kind, node.operator, node.in_place) == ("cascade", "unit", "x")
    assert node.operator_class is OperatorClass.ELEMENTWISE
    assert operator_graph(mod, flatten=True).operators_in_order() == ["a", "b", "c"]


def test_plain_relax_operators_are_opaque():
    def build(emit, x):
        parts = emit(relax.op.split(x, 2, axis=3), "parts")
        left, right = emit(parts[0], "left"), emit(parts[1], "right")
        both = emit(relax.Tuple([left, right]), "both")
        return emit(relax.op.concat(both, axis=3), "joined")

    graph = operator_graph(network(build, SHAPE))
    assert graph["parts"].operator_class is OperatorClass.OPAQUE
    assert graph["parts"].bytes == 6 * 5 * 4 * 4
    with pytest.raises(ValueError, match="gives a tuple"):
        _ = graph["parts"].spec
    assert graph["joined"].operands == ("left", "right")
    with pytest.raises(ValueError, match="relax.concat has no signature"):
        _ = graph["joined"].signature


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
    a, duplicate = (relax.DataflowVar("a", relax.TensorType(SHAPE, "float32")) for _ in range(2))
    mod = residual_network()
    line = read_function(mod)
    renamed = write_function(
        mod,
        type(line)(
            line.parameters,
            (
                (a, line.bindings[0][1]),
                (duplicate, conv_of(a)),
                (relax.Var("a_1", a.ty), conv_of(duplicate)),
            ),
            a,
        ),
    )
    with pytest.raises(ValueError, match="two tensors of main are called 'a'"):
        operator_graph(renamed)
    unique = unique_names(renamed)
    assert operator_graph(unique).operators_in_order() == ["a", "a_2", "a_1"]
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

    with pytest.raises(ValueError, match="`main` binds y by control flow"):
        operator_graph(Branching)


def test_names_of_shapes_and_of_known_matches_disappear():
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((2, 2), "float32")) -> R.Tensor((4,), "float32"):
            with R.dataflow():
                same = R.match_cast(x, R.Tensor((2, 2), "float32"))
                flat = R.shape([4])
                y = R.reshape(same, flat)
                R.output(y)
            return y

    line = read_function(Before)
    ((_, call),) = line.bindings
    assert call.args[0].same_as(line.parameters[0])
    assert [int(n) for n in call.args[1].values] == [4]


def test_a_match_that_decides_at_run_time_is_refused():
    @I.ir_module
    class Matching:
        @R.function
        def main(x: R.Tensor(ndim=2, dtype="float32")) -> R.Tensor((2, 2), "float32"):
            with R.dataflow():
                y = R.match_cast(x, R.Tensor((2, 2), "float32"))
                R.output(y)
            return y

    with pytest.raises(ValueError, match="`main` binds y by control flow or a match"):
        read_function(Matching)
