"""Joins, forks, branches and shortcuts."""

import tvm
from tvm import relax

from relax_passes.operators import make_call
from relax_passes.residuals.accumulate_residuals import AccumulateResiduals
from relax_passes.residuals.identify_residuals import IdentifyResiduals
from relax_passes.residuals.residual import Branch, Residual, read_residuals, write_residuals
from tests.relax_passes.network_parts import (
    activation,
    add,
    concat,
    conv,
    depthwise,
    multiply,
    network,
)

SHAPE = (1, 8, 6, 4)
BYTES = 8 * 6 * 4 * 4


def identify(build, *shapes):
    return read_residuals(IdentifyResiduals()(network(build, *(shapes or (SHAPE,)))))


def test_identity_shortcut():
    def build(emit, x):
        s = emit(conv(x, 4), "s")
        a = emit(conv(s, 4), "a")
        b = emit(conv(a, 4), "b")
        return emit(add(b, s), "c")

    (found,) = identify(build)
    assert found == Residual(
        join="c",
        operator="dero.add",
        fork="s",
        shortcut="identity",
        branches=(Branch("b", "main", ("a", "b")), Branch("s", "identity", ())),
        bytes=BYTES,
        steps=3,
    )


def test_projection_shortcut():
    def build(emit, x):
        a = emit(conv(x, 8, stride=2), "a")
        b = emit(conv(a, 8), "b")
        p = emit(conv(x, 8, 1, stride=2), "p")
        return emit(add(b, p), "c")

    (found,) = identify(build)
    assert (found.fork, found.shortcut) == ("x", "projection")
    assert found.shortcuts == (Branch("p", "projection", ("p",)),)
    assert (found.bytes, found.steps) == (4 * 3 * 8 * 4, 3)


def test_pooled_and_padded_shortcut():
    """The parameter-free projection of the first residual networks."""

    def build(emit, x):
        a = emit(conv(x, 8, stride=2), "a")
        b = emit(conv(a, 8), "b")
        pool = emit(
            make_call("pool2d", [x], kind="average", pool_size=(2, 2), strides=(2, 2)), "pool"
        )
        wide = emit(
            make_call("pad", [pool], pad_before=(0, 0, 0, 0), pad_after=(0, 0, 0, 4)), "wide"
        )
        return emit(add(b, wide), "c")

    (found,) = identify(build)
    assert found.shortcuts == (Branch("wide", "projection", ("pool", "wide")),)


def test_pointwise_beside_spatial_is_a_projection():
    def build(emit, x):
        wide = emit(conv(x, 4), "wide")
        point = emit(conv(x, 4, 1), "point")
        return emit(add(wide, point), "c")

    (found,) = identify(build)
    assert found.shortcuts == (Branch("point", "projection", ("point",)),)


def test_equal_branches_are_parallel():
    def build(emit, x):
        a, b = emit(conv(x, 4, seed=1), "a"), emit(conv(x, 4, seed=2), "b")
        return emit(add(a, b), "c")

    (found,) = identify(build)
    assert (found.shortcut, found.bytes, found.steps) == ("none", 0, 0)
    assert [branch.kind for branch in found.branches] == ["parallel", "parallel"]


def test_inception_is_not_residual():
    def build(emit, x):
        a = emit(conv(x, 2, 1), "a")
        b = emit(conv(emit(conv(x, 2, 1), "b0"), 3), "b")
        pool = emit(make_call("pool2d", [x], kind="max", pool_size=(3, 3), padding=(1, 1, 1, 1)),
                    "pool")  # fmt: skip
        return emit(concat(a, b, emit(conv(pool, 2, 1), "d")), "c")

    (found,) = identify(build)
    assert (found.operator, found.fork, found.shortcut) == ("dero.concat", "x", "none")


def test_dense_chain():
    def build(emit, x):
        n1 = emit(conv(x, 2), "n1")
        c1 = emit(concat(x, n1), "c1")
        n2 = emit(conv(c1, 2), "n2")
        flat = emit(concat(x, n1, n2), "flat")
        n3 = emit(conv(flat, 2), "n3")
        return emit(concat(flat, n3), "c3")

    c1, flat, c3 = identify(build)
    assert c1.shortcuts == (Branch("x", "identity", ()),)
    assert [branch.operand for branch in flat.shortcuts] == ["x", "n1"]
    assert flat.branches[2] == Branch("n2", "main", ("n1", "c1", "n2"))
    assert (c3.fork, c3.shortcut, c3.bytes) == ("flat", "identity", 8 * 6 * 8 * 4)


def test_pooled_concat_shortcut():
    """The downsampling unit of ShuffleNet."""

    def build(emit, x):
        pool = emit(make_call("pool2d", [x], kind="average", pool_size=(3, 3), strides=(2, 2),
                              padding=(1, 1, 1, 1)), "pool")  # fmt: skip
        a = emit(conv(x, 4, 1), "a")
        b = emit(depthwise(a, stride=2), "b")
        return emit(concat(pool, emit(conv(b, 4, 1), "d")), "c")

    (found,) = identify(build)
    assert found.shortcuts == (Branch("pool", "projection", ("pool",)),)


def test_nested_residuals_have_their_own_forks():
    def build(emit, x):
        s = emit(conv(x, 4), "s")
        a = emit(conv(s, 4), "a")
        b = emit(add(a, s), "b")
        d = emit(conv(b, 4), "d")
        return emit(add(d, s), "e")

    inner, outer = identify(build)
    assert (inner.join, inner.fork) == ("b", "s")
    assert (outer.join, outer.fork, outer.steps) == ("e", "s", 4)


def test_gate_is_a_join():
    def build(emit, x):
        s = emit(conv(x, 4), "s")
        return emit(multiply(s, emit(activation(s), "gate")), "c")

    (found,) = identify(build)
    assert (found.operator, found.fork) == ("dero.multiply", "s")


def test_two_network_inputs_have_no_fork():
    def build(emit, x, y):
        return emit(add(emit(conv(x, 4), "a"), y), "c")

    (found,) = identify(build, SHAPE, SHAPE)
    assert (found.fork, found.shortcut) == ("", "none")


def test_findings_are_plain_and_stay():
    def build(emit, x):
        a = emit(conv(x, 4), "a")
        return emit(add(emit(conv(a, 4), "b"), x), "c")

    mod = IdentifyResiduals()(network(build, SHAPE))
    found = read_residuals(mod)
    tvm.ir.assert_structural_equal(mod, IdentifyResiduals()(mod))
    tvm.ir.assert_structural_equal(mod, write_residuals(mod, found))
    assert '"shortcut": "identity"' in mod.script()
    later = relax.transform.DeadCodeElimination()(relax.transform.FoldConstant()(mod))
    assert read_residuals(later) == found
    # Joins inside cascades are still found.
    assert read_residuals(IdentifyResiduals()(AccumulateResiduals()(mod))) == found


def test_nothing_to_find():
    mod = IdentifyResiduals()(network(lambda emit, x: emit(conv(x, 4), "a"), SHAPE))
    assert read_residuals(mod) == ()
    assert read_residuals(network(lambda emit, x: emit(conv(x, 4), "a"), SHAPE)) == ()
