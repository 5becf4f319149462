"""StreamRows: structure, directions, what it refuses, what it leaves of earlier passes."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
from tvm import relax
from tvm.script import ir as I
from tvm.script import relax as R

from relax_passes import pipeline
from relax_passes.ir.attributes import CASCADE, DIRECTION
from relax_passes.ir.decisions import decisions
from relax_passes.operators import attributes_of, make_call
from relax_passes.reorganization import remove_residuals
from relax_passes.reorganization.remove_residuals import RemoveResiduals
from relax_passes.residuals.accumulate_residuals import AccumulateResiduals
from relax_passes.residuals.concat_in_place import ConcatInPlace
from relax_passes.streaming import stream_rows
from relax_passes.streaming.join_decisions import UNLIMITED
from relax_passes.streaming.stream_rows import (
    DESCENDING,
    StreamRows,
    with_ascending_rows,
)
from tests.relax_passes.network_parts import (
    activation,
    add,
    assert_same_results,
    binding_names,
    concat,
    conv,
    network,
    without_findings,
)

SHAPE = (1, 12, 5, 2)


def stream(build, *shapes, dtype="float32", **options):
    """The network before and after, checked to compute the same and to be stable."""
    before = network(build, *(shapes or (SHAPE,)), dtype=dtype)
    after = StreamRows(**options)(before)
    relax.analysis.well_formed(after)
    tvm.ir.assert_structural_equal(after, StreamRows(**options)(after))
    assert_same_results(before, after)
    return before, after


def cascades(mod):
    """Operators and direction of each outlined function, in the order of the calls."""
    found = {}
    for binding in mod["main"].body.blocks[0].bindings:
        function = getattr(binding.value, "op", None)
        if isinstance(function, tvm.ir.GlobalVar):
            attrs = mod[function].attrs
            assert attrs[CASCADE] == "stream"
            found[function.name_hint] = (
                [name for name in binding_names(mod, function) if name != "result"],
                attrs[DIRECTION],
            )
    return found


def verdicts(mod):
    return [(d.join, d.action, d.reason) for d in decisions(mod) if d.pass_name == stream_rows.NAME]


def residual(emit, x):
    a = emit(conv(x, 6, seed=1), "a")
    b = emit(conv(a, 2, seed=2), "b")
    return emit(add(b, x), "c")


def test_before_and_after():
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((1, 12, 5, 2), "float32")) -> R.Tensor((1, 12, 5, 2), "float32"):
            with R.dataflow():
                a = conv(x, 6, seed=1)
                b = conv(a, 2, seed=2)
                c = add(b, x)
                R.output(c)
            return c

    @I.ir_module
    class Expected:
        @R.function(private=True)
        def stream_c(x: R.Tensor((1, 12, 5, 2), "float32")) -> R.Tensor((1, 12, 5, 2), "float32"):
            R.func_attr({"dero.cascade": "stream", "dero.direction": "ascending"})
            with R.dataflow():
                a = conv(x, 6, seed=1)
                b = conv(a, 2, seed=2)
                c = add(b, x)
                R.output(c)
            return c

        @R.function
        def main(x: R.Tensor((1, 12, 5, 2), "float32")) -> R.Tensor((1, 12, 5, 2), "float32"):
            cls = Expected
            with R.dataflow():
                c: R.Tensor((1, 12, 5, 2), "float32") = cls.stream_c(x)
                R.output(c)
            return c

    after = StreamRows()(Before)
    tvm.ir.assert_structural_equal(without_findings(after), Expected)
    tvm.ir.assert_structural_equal(StreamRows()(after), after)
    assert_same_results(Before, after)


def test_what_was_decided_is_recorded():
    _, after = stream(residual)
    streamed = "row by row inside stream_c, 3 operators from a"
    assert verdicts(after) == [("c", "streamed", streamed)]
    # Another limit, another decision: the old one does not stay.
    ((join, action, reason),) = verdicts(StreamRows(limit=100_000)(after))
    assert (join, action) == ("c", "left alone")
    assert reason == "the network stays within the limit of 100,000 bytes without streaming it"
    ((_, _, reason),) = verdicts(StreamRows(limit=UNLIMITED)(after))
    assert reason == "cascades were not asked for"


def test_decisions_of_passes_whose_functions_are_gone_are_dropped():
    accumulated = AccumulateResiduals()(network(residual, SHAPE))
    streamed = StreamRows()(accumulated)
    assert {d.pass_name for d in decisions(streamed)} == {stream_rows.NAME}
    plain = RemoveResiduals()(streamed)
    assert {d.pass_name for d in decisions(plain)} == {remove_residuals.NAME}


def left_to_tvm(emit, value, name):
    """An operator that is not of the project's set."""
    return emit(relax.op.sin(value), name)


def between_opaque(emit, x):
    a, b = left_to_tvm(emit, x, "a"), left_to_tvm(emit, x, "b")
    return left_to_tvm(emit, emit(add(a, b), "c"), "d")


def between_branches(emit, x):
    a = emit(conv(x, 2, seed=1), "a")
    b = emit(conv(x, 30, seed=2), "b")
    c = emit(add(a, x), "c")
    d = emit(conv(b, 30, seed=3), "d")
    return relax.Tuple([emit(activation(c), "e"), d])


def two_inputs(emit, x, y):
    return emit(add(x, y), "c")


def far_from_the_peak(emit, x):
    wide = emit(conv(x, 60, seed=1), "wide")
    a = emit(conv(left_to_tvm(emit, wide, "s"), 2, 1, seed=2), "a")
    b = emit(conv(a, 2, seed=3), "b")
    return emit(activation(emit(add(b, a), "c")), "d")


@pytest.mark.parametrize(
    ("build", "shapes", "reason"),
    [
        (
            between_opaque,
            [SHAPE],
            "b is left to TVM, which computes whole tensors, and d is left to TVM, which computes "
            "whole tensors",
        ),
        (
            between_branches,
            [SHAPE],
            "b, which runs just before it, is none of its operands, and what runs between it and "
            "e is read later",
        ),
        (two_inputs, [SHAPE, SHAPE], "nothing runs before it, and no operator reads it"),
        (
            far_from_the_peak,
            [SHAPE],
            "no cascade with it makes the estimated peak of 28,800 bytes smaller",
        ),
    ],
)
def test_why_a_join_is_left_whole(build, shapes, reason):
    _, after = stream(build, *shapes)
    assert verdicts(after) == [("c", "left alone", reason)]


def test_no_more_streaming_than_the_limit_asks_for():
    _, after = stream(residual, limit=UNLIMITED)
    assert cascades(after) == {"stream_b": (["b"], DESCENDING)}


def test_directions_alternate_so_that_each_result_may_overlap():
    def build(emit, x):
        a = emit(conv(x, 2, seed=1), "a")
        b = emit(conv(a, 2, seed=2), "b")
        c = emit(conv(b, 2, seed=3), "c")
        return emit(conv(c, 2, seed=4), "d")

    _, after = stream(build, limit=UNLIMITED)
    # a below x, b above a, c below b, d above c; what ascends alone needs no function.
    assert cascades(after) == {
        "stream_b": (["b"], DESCENDING),
        "stream_d": (["d"], DESCENDING),
    }
    ascending = with_ascending_rows(after)
    assert {direction for _, direction in cascades(ascending).values()} == {"ascending"}
    assert with_ascending_rows(ascending) is None
    assert_same_results(after, ascending)


def test_a_result_in_place_stays_where_its_operand_is():
    def build(emit, x):
        a = emit(conv(x, 2, seed=1), "a")
        b = emit(activation(a), "b")
        return emit(conv(b, 2, seed=2), "c")

    _, after = stream(build, limit=UNLIMITED)
    # b takes a's place, below x; c goes above it.
    assert cascades(after) == {"stream_c": (["c"], DESCENDING)}


def test_nothing_descends_from_a_tensor_that_lasts():
    def build(emit, x):
        a = emit(conv(x, 2, seed=1), "a")
        b = emit(conv(a, 2, seed=2), "b")
        return relax.Tuple([a, b])

    _, after = stream(build, limit=UNLIMITED)
    assert cascades(after) == {}


def test_tensors_needed_behind_the_cascade_are_results():
    def build(emit, x):
        a = emit(conv(x, 2, seed=1), "a")
        b = emit(conv(emit(conv(a, 12, seed=2), "wide"), 2, seed=3), "b")
        c = emit(conv(emit(conv(b, 12, seed=4), "wider"), 2, seed=5), "c")
        return relax.Tuple([emit(add(c, a), "d"), b])

    _, after = stream(build, limit=2900)
    assert cascades(after)["stream_c"][0] == ["wide", "b", "wider", "c"]
    assert len(after["stream_c"].ret_ty.fields) == 2


def test_reshapes_cut_cascades():
    def build(emit, x):
        a = emit(conv(x, 12, seed=1), "a")
        r = emit(make_call("reshape", [a], shape=(1, 5, 12, 12)), "r")
        return emit(conv(r, 2, seed=2), "b")

    _, after = stream(build)
    assert all(len(names) == 1 for names, _ in cascades(after).values())


def test_foreign_operators_run_alone():
    def build(emit, x):
        a = emit(conv(x, 12, seed=1), "a")
        s = emit(relax.op.sin(a), "s")
        return emit(conv(s, 2, seed=2), "b")

    _, after = stream(build)
    assert all(len(names) == 1 and names != ["s"] for names, _ in cascades(after).values())


def test_unread_results_are_dropped():
    def build(emit, x):
        a = emit(conv(x, 2, seed=1), "a")
        emit(conv(a, 7, seed=2), "unread")
        return emit(conv(a, 2, seed=3), "b")

    _, after = stream(build)
    names = [n for names, _ in cascades(after).values() for n in names] + binding_names(after)
    assert "unread" not in names


def test_earlier_groupings_are_undone():
    def build(emit, x):
        a = emit(conv(x, 2, seed=1), "a")
        b = emit(conv(a, 3, seed=2), "b")
        c = emit(concat(a, b), "c")
        d = emit(conv(c, 2, seed=3), "d")
        return emit(add(d, a), "e")

    before = network(build, SHAPE)
    grouped = ConcatInPlace()(AccumulateResiduals()(before))
    after = StreamRows()(grouped)
    tvm.ir.assert_structural_equal(without_findings(after), without_findings(StreamRows()(before)))
    # Even one that stays in main copies again.
    alone = StreamRows(limit=UNLIMITED)(grouped)
    concats = [
        binding.value
        for _, function in alone.functions_items()
        for binding in function.body.blocks[0].bindings
        if getattr(getattr(binding.value, "op", None), "name", "") == "dero.concat"
    ]
    assert [attributes_of(call)["in_place"] for call in concats] == [False]
    assert_same_results(before, after)


@pytest.mark.parametrize(
    ("options", "whole"), [({}, 800), ({"keep_inputs": True}, 1280), ({"external_io": True}, 720)]
)
def test_kept_inputs_and_outside_ones_do_not_lend_their_memory(options, whole):
    """Inside, a lies over most of x, and b over a; outside, a of 720 bytes is all that there is."""

    def build(emit, x):
        return emit(conv(emit(conv(x, 3, seed=1), "a"), 2, seed=2), "b")

    before = network(build, SHAPE)
    for limit, streamed in ((whole, False), (whole - 1, True)):
        after = StreamRows(limit=limit, **options)(before)
        assert (["a", "b"] in [names for names, _ in cascades(after).values()]) == streamed


def test_inputs_that_are_returned_and_tensors_returned_twice():
    def build(emit, x):
        a = emit(conv(x, 8, seed=1), "a")
        b = emit(conv(a, 2, seed=2), "b")
        return relax.Tuple([x, b, b])

    _, after = stream(build)
    assert cascades(after) == {"stream_b": (["a", "b"], "ascending")}


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_in_the_pipeline(dtype):
    before = network(residual, SHAPE, dtype=dtype)
    after = pipeline.stream()(before)
    assert [len(names) for names, _ in cascades(after).values()] == [3]
    for name in ("dero.residuals", "dero.classes"):
        assert name in after["main"].attrs
    assert_same_results(before, after)
    assert np.isin(stream_rows.NAME, [d.pass_name for d in decisions(after)])
