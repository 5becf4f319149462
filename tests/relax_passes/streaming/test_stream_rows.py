"""StreamRows: structure, directions, what it refuses, what it leaves of earlier passes."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
from tvm import relax
from tvm.script import ir as I
from tvm.script import relax as R

from relax_passes import pipeline
from relax_passes.ir.decisions import decisions
from relax_passes.ir.operator_graph import CASCADE
from relax_passes.operators import attributes_of, make_call
from relax_passes.residuals.accumulate_residuals import AccumulateResiduals
from relax_passes.residuals.concat_in_place import ConcatInPlace
from relax_passes.streaming.segmentation import Segmentation, segment
from relax_passes.streaming.stream_rows import (
    DESCENDING,
    DIRECTION,
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
UNLIMITED = 1 << 40


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
    return [(d.join, d.action, d.reason) for d in decisions(mod) if d.pass_name == "StreamRows"]


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
    assert verdicts(after) == [("c", "streamed", "3 operators from a row by row")]
    # Another limit, another decision: the old one does not stay.
    assert verdicts(StreamRows(limit=UNLIMITED)(after)) == []


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


def test_tensors_needed_behind_the_cascade_are_results(monkeypatch):
    def build(emit, x):
        a = emit(conv(x, 2, seed=1), "a")
        b = emit(conv(a, 2, seed=2), "b")
        c = emit(conv(b, 2, seed=3), "c")
        d = emit(conv(c, 2, seed=4), "d")
        return relax.Tuple([emit(add(d, a), "e"), b])

    monkeypatch.setattr(
        "relax_passes.streaming.stream_rows.segment",
        lambda *_, **__: Segmentation(((0, 3), (3, 5)), 0),
    )
    _, after = stream(build)
    (first, second) = cascades(after)
    assert cascades(after)[first][0] == ["a", "b", "c"]
    assert cascades(after)[second][0] == ["d", "e"]
    assert len(after[first].ret_ty.fields) == 3


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


def test_kept_inputs_and_outside_ones_do_not_lend_their_memory(monkeypatch):
    seen = []

    def spy(items, inputs, outputs, **options):
        found = segment(items, inputs, outputs, **options)
        seen.append((inputs, {i.operator.result: i.result_bytes for i in items}, found.bytes))
        return found

    monkeypatch.setattr("relax_passes.streaming.stream_rows.segment", spy)
    before = network(residual, SHAPE)
    for options in ({}, {"keep_inputs": True}, {"external_io": True}):
        StreamRows(**options)(before)
    (inside, own, least), (_, _, kept), (outside, without, external) = seen
    assert inside == {"x": 480} and outside == {"x": 0}
    assert own["c"] == 480 and without["c"] == 0
    assert kept > least > external


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
    assert np.isin("StreamRows", [d.pass_name for d in decisions(after)])
