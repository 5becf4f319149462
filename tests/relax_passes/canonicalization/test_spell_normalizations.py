from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import tvm
from tvm import relax
from tvm.relax import op

from relax_passes.canonicalization.spell_normalizations import SpellNormalizations
from tests.relax_passes.network_parts import assert_rewritten, network

rng = np.random.default_rng(0)
WEIGHT, BIAS = rng.uniform(0.5, 1.5, (2, 6)).astype("float32")
ONE, ZERO = np.ones(6, "float32"), np.zeros(6, "float32")
EPSILON = 2.0**-10


def const(array) -> relax.Expr:
    return relax.const(np.asarray(array, "float32"))


def variance(emit: Callable, x: relax.Expr, axes: list[int]) -> tuple[relax.Expr, relax.Expr]:
    """What a tensor differs from its mean by, and the mean of its squares plus a little."""
    difference = emit(op.subtract(x, emit(op.mean(x, axes, keepdims=True))))
    square = emit(op.multiply(difference, difference))
    return difference, emit(op.add(emit(op.mean(square, axes, keepdims=True)), const(EPSILON)))


def divided(axes: list[int]) -> Callable:
    def build(emit: Callable, x: relax.Expr) -> relax.Expr:
        difference, total = variance(emit, x, axes)
        return op.divide(difference, emit(op.sqrt(total)))

    return build


def with_weights(emit: Callable, x: relax.Expr) -> relax.Expr:
    difference, total = variance(emit, x, [1])
    power = emit(op.power(total, const(-0.5)))
    scaled = emit(op.multiply(emit(op.multiply(difference, power)), const(WEIGHT.reshape(6, 1, 1))))
    return op.add(scaled, const(BIAS.reshape(6, 1, 1)))


def as_a_line(emit: Callable, x: relax.Expr) -> relax.Expr:
    """As Keras writes it: x times a factor, and what is left of the mean and a bias."""
    _, total = variance(emit, x, [2, 3])
    factor = emit(op.multiply(emit(op.rsqrt(total)), const(WEIGHT.reshape(1, 6, 1, 1))))
    mean = emit(op.mean(x, [2, 3], keepdims=True))
    rest = emit(op.subtract(const(BIAS.reshape(6, 1, 1)), emit(op.multiply(mean, factor))))
    return op.add(emit(op.multiply(x, factor)), rest)


def of_groups(emit: Callable, x: relax.Expr) -> relax.Expr:
    parts = emit(op.reshape(x, (1, 3, 40)))
    difference, total = variance(emit, parts, [2])
    return op.reshape(emit(op.divide(difference, emit(op.sqrt(total)))), (1, 6, 4, 5))


def root_mean_square(emit: Callable, x: relax.Expr) -> relax.Expr:
    mean = emit(op.mean(emit(op.power(x, const(2.0))), [1], keepdims=True))
    return op.multiply(emit(op.rsqrt(emit(op.add(mean, const(EPSILON))))), x)


def group_norm(x: relax.Expr, groups: int, weight=ONE, bias=ZERO) -> relax.Expr:
    return op.nn.group_norm(x, const(weight), const(bias), groups, 1, [2, 3], EPSILON)


def layer_norm(x: relax.Expr, weight=ONE, bias=ZERO) -> relax.Expr:
    return op.nn.layer_norm(x, const(weight), const(bias), [1], EPSILON)


CASES = {
    "layer": (divided([1]), layer_norm),
    "layer with weights": (with_weights, lambda x: layer_norm(x, WEIGHT, BIAS)),
    "instance": (divided([2, 3]), lambda x: group_norm(x, 6)),
    "all of an image": (divided([1, 2, 3]), lambda x: group_norm(x, 1)),
    "a line": (as_a_line, lambda x: group_norm(x, 6, WEIGHT, BIAS)),
    "groups": (of_groups, lambda x: group_norm(x, 3)),
    "root mean square": (
        root_mean_square,
        lambda x: op.nn.rms_norm(x, const(ONE), [1], EPSILON),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_one_operator(name: str) -> None:
    before, after = CASES[name]
    shape = (1, 6, 4, 5)
    assert_rewritten(
        SpellNormalizations(), network(before, shape), network(lambda _, x: after(x), shape)
    )


def of_other_rows(emit: Callable, x: relax.Expr) -> relax.Expr:
    """Divided by the deviation of another tensor."""
    _, total = variance(emit, x, [1])
    return op.divide(emit(op.abs(x)), emit(op.sqrt(total)))


def over_rows_alone(emit: Callable, x: relax.Expr) -> relax.Expr:
    difference, total = variance(emit, x, [1, 3])
    return op.divide(difference, emit(op.sqrt(total)))


def across(emit: Callable, x: relax.Expr) -> relax.Expr:
    """The mean's axes are not those of the variance."""
    difference = emit(op.subtract(x, emit(op.mean(x, [2], keepdims=True))))
    square = emit(op.multiply(difference, difference))
    total = emit(op.add(emit(op.mean(square, [1], keepdims=True)), const(EPSILON)))
    return op.divide(
        emit(op.subtract(x, emit(op.mean(x, [1], keepdims=True)))), emit(op.sqrt(total))
    )


@pytest.mark.parametrize("build", [of_other_rows, over_rows_alone, across])
def test_what_stays_arithmetic(build: Callable) -> None:
    mod = network(build, (1, 6, 6, 6))
    tvm.ir.assert_structural_equal(SpellNormalizations()(mod), mod)
