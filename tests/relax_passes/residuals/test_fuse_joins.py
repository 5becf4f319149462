"""FuseJoins: before and after, what stays, and the decisions."""

from __future__ import annotations

import numpy as np
import pytest
from tvm import relax

from relax_passes.ir.decisions import LEFT_ALONE, Decision, decisions
from relax_passes.operators import attributes_of, make_call
from relax_passes.operators.joined import PAIRS, joined_attributes
from relax_passes.residuals.fuse_joins import FUSED, NAME, FuseJoins, is_fused
from tests.relax_passes.network_parts import (
    activation,
    add,
    assert_left_alone,
    assert_rewritten,
    assert_same_results,
    conv,
    depthwise,
    multiply,
    network,
    without_findings,
)

SHAPE = (1, 6, 5, 4)


def rewrite(mod):
    """The pass, without its decisions."""
    return without_findings(FuseJoins()(mod))


def fused(first, join, computed=0):
    """The operator for the calls `first` and `join`, whose operand `computed` the first makes."""
    attrs = joined_attributes(attributes_of(first), attributes_of(join), computed)
    other = join.args[1 - computed]
    return make_call(PAIRS[first.op.name, join.op.name], [*first.args, other], **attrs)


def dense(x):
    weight = np.linspace(-1, 1, 16, dtype="float32").reshape(4, 4)
    return make_call("dense", [x, relax.const(weight), relax.const(np.ones(4, "float32"))])


def subtract(a, b):
    return make_call("subtract", [a, b], minimum=0.0)


@pytest.mark.parametrize("computed", [0, 1])
@pytest.mark.parametrize(
    ("dtype", "produce", "join"),
    [
        ("float32", lambda x: conv(x, 4), lambda a, b: add(a, b, maximum=1.0)),
        ("float32", dense, subtract),
        ("int8", lambda x: conv(x, 4, 1, maximum=90), lambda a, b: add(a, b, minimum=-10)),
        ("int8", depthwise, multiply),
    ],
)
def test_fused(computed, dtype, produce, join) -> None:
    def order(y, x):
        return (x, y) if computed else (y, x)

    def before(emit, x):
        return join(*order(emit(produce(x)), x))

    def after(emit, x):
        return fused(produce(x), join(*order(x, x)), computed)

    mod, expected = (network(build, SHAPE, dtype=dtype) for build in (before, after))
    assert_rewritten(rewrite, mod, expected)
    assert_same_results(mod, expected)


def test_of_two_convolutions_the_last() -> None:
    """The projection is there when the branch is done."""

    def before(emit, x):
        a = emit(conv(x, 4, seed=1))
        p = emit(conv(x, 4, 1))
        return add(emit(conv(a, 4, seed=2)), p)

    def after(emit, x):
        a = emit(conv(x, 4, seed=1))
        p = emit(conv(x, 4, 1))
        return fused(conv(a, 4, seed=2), add(p, p))

    mod, expected = (network(build, SHAPE, dtype="int8") for build in (before, after))
    assert_rewritten(rewrite, mod, expected)
    assert_same_results(mod, expected)


def read_twice(emit, x):
    y = emit(conv(x, 4))
    return add(emit(add(y, x)), y)


def returned(emit, x):
    y = emit(conv(x, 4))
    return y, add(y, x)


def itself(emit, x):
    y = emit(conv(x, 4))
    return add(y, y)


def broadcast(emit, x):
    return multiply(emit(conv(x, 4)), emit(conv(x, 1)))


def with_a_constant(emit, x):
    return add(emit(conv(x, 4)), relax.const(np.ones(SHAPE, "float32")))


def behind_an_activation(emit, x):
    return add(emit(activation(emit(conv(x, 4)))), x)


def divided(emit, x):
    return make_call("divide", [emit(conv(x, 4)), x])


@pytest.mark.parametrize(
    "build",
    [read_twice, returned, itself, broadcast, with_a_constant, behind_an_activation, divided],
)
def test_left_alone(build) -> None:
    mod = network(build, SHAPE)
    assert_left_alone(rewrite, mod)
    assert not is_fused(FuseJoins()(mod))


def two_joins(emit, x):
    z = emit(add(emit(conv(x, 4)), x), "z")
    return emit(add(emit(conv(z, 4)), z), "out")


def test_decisions() -> None:
    mod = FuseJoins({"out": "there is no kernel"})(network(two_joins, SHAPE))
    first, second = decisions(mod)
    assert first.action == FUSED and "joins its rows with those of x" in first.reason
    assert second == Decision(NAME, second.join, LEFT_ALONE, "there is no kernel")
    assert is_fused(mod)
