"""MakeAgain: before and after, copies of copies, what it refuses, and what it says."""

from __future__ import annotations

import pytest
import tvm

from relax_passes.ir.attributes import MADE_AGAIN, with_main_attribute
from relax_passes.ir.decisions import Decision, decisions
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
