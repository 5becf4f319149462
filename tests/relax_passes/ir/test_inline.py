"""Private functions in the place of their calls, under names that tell all tensors apart."""

from tvm import relax
from tvm.script import ir as I
from tvm.script import relax as R

from relax_passes.ir.inline import inlined
from relax_passes.ir.operator_graph import operator_graph, operators_in_order
from relax_passes.ir.outline import outline
from relax_passes.residuals.identify_residuals import IdentifyResiduals
from relax_passes.residuals.residual import read_residuals
from tests.relax_passes.network_parts import add, assert_same_results, binding_names, conv, network


@I.ir_module
class Shared:
    """A function that is called twice and calls another; all call their tensors alike."""

    @R.function(private=True)
    def inner(x: R.Tensor((1, 6, 5, 4), "float32")) -> R.Tensor((1, 6, 5, 4), "float32"):
        with R.dataflow():
            a = conv(x, 4, seed=1)
            gv = conv(a, 4, seed=2)
            R.output(gv)
        return gv

    @R.function(private=True)
    def outer(x: R.Tensor((1, 6, 5, 4), "float32")) -> R.Tensor((1, 6, 5, 4), "float32"):
        cls = Shared
        with R.dataflow():
            a = cls.inner(x)
            gv = conv(a, 4, seed=3)
            R.output(gv)
        return gv

    @R.function
    def main(x: R.Tensor((1, 6, 5, 4), "float32")) -> R.Tensor((1, 6, 5, 4), "float32"):
        cls = Shared
        with R.dataflow():
            a = cls.outer(x)
            b = cls.outer(a)
            gv = add(a, b)
            R.output(gv)
        return gv


def test_names_of_main_stay_and_others_are_told_apart():
    flat = inlined(Shared)
    assert [g.name_hint for g in flat.get_global_vars()] == ["main"]
    names = binding_names(flat)
    assert len({*names}) == len(names) == 7
    assert [name for name in names if name in ("a", "b", "gv")] == ["a", "b", "gv"]
    relax.analysis.well_formed(flat)
    assert_same_results(Shared, flat)
    assert operators_in_order(operator_graph(Shared, flatten=True)) == names


def test_findings_name_what_main_names():
    (residual,) = read_residuals(IdentifyResiduals()(Shared))
    assert residual.join == "gv" and residual.branches[0].operand == "a"


def test_a_module_without_private_functions_is_returned_as_it_is():
    flat = inlined(Shared)
    assert inlined(flat).same_as(flat)


def test_several_results():
    def build(emit, x):
        a = emit(conv(x, 4, seed=1), "a")
        b = emit(conv(a, 4, seed=2), "b")
        return emit(add(a, b), "c")

    before = network(build, (1, 6, 5, 4))
    after = outline(before, ["a", "b"], "unit", {"dero.cascade": "stream"})
    assert isinstance(after["unit"].ret_ty, relax.TupleType)
    back = inlined(after)
    assert binding_names(back)[:3] == ["a", "b", "c"]
    assert_same_results(before, back)
