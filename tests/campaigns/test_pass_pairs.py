"""Passes alone and in pairs on a small network; `tests.campaigns.pass_pairs` tries more."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import tvm
from tvm import relax

from relax_passes import pipeline
from relax_passes.ir.straight_line import StraightLine, read_function, write_function
from relax_passes.pipeline import Canonicalize
from relax_passes.streaming import make_again
from tests.campaigns.pass_pairs import PASSES, PIPELINES, Pairs, by_name
from tests.models.random_networks import random_network


@pytest.mark.slow
def test_all_pairs() -> None:
    pairs = Pairs(Canonicalize("nhwc")(random_network(0)))
    assert not list(pairs.check())
    assert pairs.counts["applied"] > 400 and pairs.counts["modules run"] > 20


@pytest.mark.slow
def test_later_pairs_on_outputs_that_are_one_tensor() -> None:
    later = list(PASSES)[list(PASSES).index(pipeline.CANONICALIZE) :]
    pairs = Pairs(
        outputs_twice(), {name: (PASSES | PIPELINES)[name] for name in [*later, *PIPELINES]}
    )
    assert not list(pairs.check())
    assert pairs.counts["applied"] > 200


def outputs_twice() -> tvm.IRModule:
    """A tensor and an input are two outputs each, and the inputs of a join are slices of one."""
    x = relax.Var("x", relax.TensorType((1, 4, 6), "float32"))
    builder = relax.BlockBuilder()
    with builder.function("main", [x]):
        with builder.dataflow():
            halves = builder.emit(relax.op.split(x, 2, axis=2))
            parts = [builder.emit(relax.TupleGetItem(halves, index)) for index in range(2)]
            y = builder.emit_output(relax.op.add(parts[1], parts[0]))
        builder.emit_func_output(relax.Tuple([y, x, y, x]))
    return Canonicalize("nhwc")(builder.get())


def module_of(operator: Callable[[relax.Expr], relax.Expr]) -> tvm.IRModule:
    x = relax.Var("x", relax.TensorType((4,), "float32"))
    builder = relax.BlockBuilder()
    with builder.function("main", [x]):
        with builder.dataflow():
            result = builder.emit_output(operator(x))
        builder.emit_func_output(result)
    return builder.get()


def test_what_it_finds() -> None:
    @tvm.transform.module_pass(opt_level=0)
    class Wrong:
        """Another function."""

        def transform_module(self, module, context):
            return module_of(relax.op.negative)

    pairs = Pairs(module_of(relax.op.exp), by_name(Canonicalize, Wrong))
    found = list(pairs.check())
    assert [line.split(" differs")[0] for line in found] == [
        "Wrong: output 0",
        "Canonicalize then Wrong: output 0",
        "Wrong then Canonicalize: output 0",
        "Wrong then Wrong: output 0",
    ]


def test_what_it_finds_of_a_pass_on_its_own_result() -> None:
    @tvm.transform.module_pass(opt_level=0)
    class Growing:
        """The same function, longer every time."""

        def transform_module(self, module, context):
            line = read_function(module)
            var, value = line.bindings[-1]
            extra = relax.Var(f"again_{len(line.bindings)}", value.ty)
            again = relax.BlockBuilder().normalize(relax.op.abs(extra))
            bindings = (*line.bindings[:-1], (extra, value), (var, again))
            return write_function(module, StraightLine(line.parameters, bindings, line.result))

    found = list(Pairs(module_of(relax.op.exp), {"Growing": Growing}).check())
    assert [line.split(" at ")[0] for line in found] == [
        "Growing: changes its own result",
        "Growing then Growing: changes its own result",
    ]


def test_the_list_is_whole() -> None:
    """All that `pipeline` puts together."""
    used = {
        name
        for name, value in vars(pipeline).items()
        if name[0].isupper() and getattr(value, "__module__", "").startswith("relax_passes.")
    }
    named = {"Again", make_again.NAME}  # tensors of one network, which the planner chooses
    assert {*PASSES} == used - {"AS_THE_AUTHORS", "Choices"} - named
