"""Outlining: structure, order, errors, and undoing it."""

import pytest
import tvm
from tvm import relax
from tvm.script import ir as I
from tvm.script import relax as R

from relax_passes.ir.inline import inlined
from relax_passes.ir.outline import outline, parameters_of
from tests.relax_passes.network_parts import (
    activation,
    add,
    assert_same_results,
    binding_names,
    conv,
    network,
)

SHAPE = (1, 6, 5, 4)


@I.ir_module
class Before:
    @R.function
    def main(x: R.Tensor((1, 6, 5, 4), "float32")) -> R.Tensor((1, 6, 5, 4), "float32"):
        with R.dataflow():
            a = conv(x, 4, seed=1)
            b = conv(a, 4, seed=2)
            c = activation(a)
            d = add(x, b)
            e = add(c, d)
            R.output(e)
        return e


def test_moves_bindings_into_a_private_function():
    @I.ir_module
    class Expected:
        @R.function(private=True)
        def unit(
            a: R.Tensor((1, 6, 5, 4), "float32"), x: R.Tensor((1, 6, 5, 4), "float32")
        ) -> R.Tensor((1, 6, 5, 4), "float32"):
            R.func_attr({"dero.cascade": "accumulate", "dero.in_place": 1})
            with R.dataflow():
                b = conv(a, 4, seed=2)
                d = add(x, b)
                R.output(d)
            return d

        @R.function
        def main(x: R.Tensor((1, 6, 5, 4), "float32")) -> R.Tensor((1, 6, 5, 4), "float32"):
            cls = Expected
            with R.dataflow():
                a = conv(x, 4, seed=1)
                c = activation(a)
                d = cls.unit(a, x)
                e = add(c, d)
                R.output(e)
            return e

    attrs = {"dero.cascade": "accumulate", "dero.in_place": 1}
    after = outline(Before, ["b", "d"], "unit", attrs)
    tvm.ir.assert_structural_equal(after, Expected)
    assert parameters_of(Before, ["b", "d"]) == ("a", "x")
    assert binding_names(after) == ["a", "c", "d", "e"]
    relax.analysis.well_formed(after)
    assert_same_results(Before, after)


def test_inlining_undoes_it():
    after = outline(Before, ["b", "d"], "unit", {"dero.cascade": "accumulate"})
    back = inlined(after)
    assert len(back.functions) == 1
    assert sorted(binding_names(back)) == sorted(binding_names(Before))
    assert_same_results(Before, back)


def test_several_results_are_a_tuple():
    after = outline(Before, ["a", "b"], "unit", {"dero.cascade": "stream"})
    assert isinstance(after["unit"].ret_ty, relax.TupleType)
    relax.analysis.well_formed(after)
    assert_same_results(Before, after)


def test_a_result_of_the_network_stays_one():
    def build(emit, x):
        a = emit(conv(x, 4), "a")
        b = emit(conv(a, 4), "b")
        return relax.Tuple([b, a])

    before = network(build, SHAPE)
    after = outline(before, ["a", "b"], "unit", {"dero.cascade": "stream"})
    assert_same_results(before, after)


def test_delays_what_needs_the_result():
    """c reads a and stands between the members a and b of the unit: it has to move behind it."""
    after = outline(Before, ["a", "b"], "unit", {})
    names = binding_names(after)
    assert names.index("c") > names.index("a")


def test_attributes_survive_later_passes():
    after = outline(Before, ["b", "d"], "unit", {"dero.cascade": "accumulate", "dero.in_place": 1})
    passes = [
        relax.transform.CanonicalizeBindings(),
        relax.transform.FoldConstant(),
        relax.transform.DeadCodeElimination(),
    ]
    later = tvm.transform.Sequential(passes)(after)
    assert later["unit"].attrs["dero.cascade"] == "accumulate"
    assert later["unit"].attrs["dero.in_place"] == 1


def test_function_names_do_not_collide():
    once = outline(Before, ["b"], "unit", {})
    twice = outline(once, ["c"], "unit", {})
    assert sorted(v.name_hint for v in twice.get_global_vars()) == ["main", "unit", "unit_1"]
    assert_same_results(Before, twice)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        (["a", "d"], "not connected"),
        (["a", "b", "e", "d"], "cannot run as one unit: c needs"),
        (["nothing"], r"no bindings \['nothing'\]"),
        ([], "no bindings"),
    ],
)
def test_refuses(members, message):
    with pytest.raises(ValueError, match=message):
        outline(Before, members, "unit", {})
