"""MakeAgain: before and after, copies of copies, what it refuses, and what it says."""

from __future__ import annotations

from dataclasses import replace

import pytest
import tvm

from relax_passes.ir.attributes import MADE_AGAIN, with_main_attribute
from relax_passes.ir.decisions import Decision, decisions
from relax_passes.ir.operator_graph import operator_graph
from relax_passes.streaming.make_again import ACTION, NAME, Again, MakeAgain, made_again
from tests.relax_passes.network_parts import (
    activation,
    add,
    assert_same_results,
    binding_names,
    conv,
    network,
    without_findings,
)

SHAPE = (1, 6, 5, 4)
SKIP = Again(("wide", "skip"), ("joined",))


def before(emit, x):
    wide = emit(conv(x, 6, seed=1), "wide")
    skip = emit(activation(wide), "skip")
    deep = emit(conv(skip, 6, seed=2), "deep")
    joined = emit(add(deep, skip), "joined")
    return add(joined, skip)


def after(emit, x):
    wide = emit(conv(x, 6, seed=1), "wide")
    skip = emit(activation(wide), "skip")
    deep = emit(conv(skip, 6, seed=2), "deep")
    wide = emit(conv(x, 6, seed=1), "wide_again")
    again = emit(activation(wide), "skip_again")
    joined = emit(add(deep, again), "joined")
    return add(joined, skip)


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_the_named_readers_read_a_copy(dtype: str) -> None:
    mod, expected = (network(build, SHAPE, dtype=dtype) for build in (before, after))
    rewritten = MakeAgain([SKIP])(mod)
    assert binding_names(rewritten) == binding_names(expected)
    tvm.ir.assert_structural_equal(
        without_findings(with_main_attribute(rewritten, MADE_AGAIN, None)), expected
    )
    assert_same_results(mod, rewritten)
    assert made_again(rewritten) == ("wide_again", "skip_again")
    (decision,) = decisions(rewritten)
    assert decision == Decision(NAME, "skip_again", ACTION, decision.reason)
    assert decision.reason.startswith("skip need not wait for joined: the same bits")


def test_a_copy_is_made_of_a_copy() -> None:
    """The second one begins from what the first one made, and has a name of its own."""
    mod = network(before, SHAPE)
    last = binding_names(mod)[-1]
    chosen = [SKIP, Again(("skip",), (last,)), Again(("skip_again",), ("joined",))]
    rewritten = MakeAgain(chosen)(mod)
    copies = ("wide_again", "skip_again", "skip_again_2", "skip_again_again")
    assert made_again(rewritten) == copies
    assert set(copies) < set(binding_names(rewritten))
    assert_same_results(mod, rewritten)


@pytest.mark.parametrize("dtype", ["float32", "int8"])
@pytest.mark.parametrize("columns", [1, 3, 4])
def test_the_first_columns_are_made_again_and_the_others_kept(dtype: str, columns: int) -> None:
    mod = network(before, SHAPE, dtype=dtype)
    rewritten = MakeAgain([replace(SKIP, columns=columns)])(mod)
    assert_same_results(mod, rewritten)
    graph = operator_graph(rewritten)
    widths = {name: graph[name].signature.output.shape[2] for name in made_again(rewritten)}
    taken = {} if columns == 4 else {"skip_columns": columns + 1}  # a window of three
    assert widths == taken | {"wide_again": columns, "skip_again": columns}
    assert graph["skip_kept"].signature.output.shape[2] == 5 - columns
    (decision,) = decisions(rewritten)
    assert decision.reason.startswith(f"the first {columns} columns of skip need not wait")


def test_nothing_is_chosen() -> None:
    mod = network(before, SHAPE)
    assert MakeAgain([])(mod).same_as(mod)


@pytest.mark.parametrize(
    ("again", "reason"),
    [
        (Again(("tall",), ("joined",)), "tall is to be made or read again, but main has no such"),
        (Again(("skip",), ("tall",)), "tall is to be made or read again, but main has no such"),
        (Again(("joined",), ("deep",)), "joined is made behind what is to read it"),
    ],
)
def test_refused(again: Again, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        MakeAgain([again])(network(before, SHAPE))


def test_columns_of_two_images_are_not_made_again() -> None:
    mod = network(before, SHAPE)
    again = Again(("joined",), (binding_names(mod)[-1],), 2)
    with pytest.raises(ValueError, match="joined cannot be made for some columns alone"):
        MakeAgain([again])(mod)
