"""Passes alone and in pairs on a small network; `python -m tests.pass_pairs` tries more."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import tvm
from tvm import relax

from relax_passes import canonicalize, pipeline
from relax_passes.canonicalize import Canonicalize
from tests.pass_pairs import PASSES, Pairs
from tests.random_networks import random_network


@pytest.mark.slow
def test_all_pairs() -> None:
    pairs = Pairs(Canonicalize("nhwc")(random_network(0)))
    assert not list(pairs.check())
    assert pairs.counts["applied"] > 400 and pairs.counts["modules run"] > 20


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

    pairs = Pairs(module_of(relax.op.exp), {"Canonicalize": Canonicalize, "Wrong": Wrong})
    found = list(pairs.check())
    assert [line.split(" differs")[0] for line in found] == [
        "Wrong: output 0",
        "Canonicalize then Wrong: output 0",
        "Wrong then Canonicalize: output 0",
        "Wrong then Wrong: output 0",
    ]


def test_the_list_is_whole() -> None:
    """All that `pipeline` and `canonicalize` put together."""
    used = {
        name
        for module in (pipeline, canonicalize)
        for name, value in vars(module).items()
        if name[0].isupper() and getattr(value, "__module__", "").startswith("relax_passes.")
    }
    assert {*PASSES} == used - {"AS_THE_AUTHORS", "Choices"}
