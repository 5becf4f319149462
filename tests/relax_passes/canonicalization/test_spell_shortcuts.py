"""SpellShortcuts: before and after, and what keeps its form.

tests/end_to_end/test_shortcut_idioms.py has the spellings that people use, from PyTorch on.
"""

from __future__ import annotations

import numpy as np
import pytest
from tvm import relax
from tvm.relax import op
from tvm.script import ir as I
from tvm.script import relax as R

from relax_passes.canonicalization.spell_shortcuts import SpellShortcuts
from tests.relax_passes.network_parts import (
    assert_left_alone,
    assert_rewritten,
    network,
    random_inputs,
    run,
)

WEIGHT = np.random.default_rng(0).standard_normal((4, 10, 1, 1)).astype("float32")
STRIDED = np.random.default_rng(0).standard_normal((4, 4, 1, 1)).astype("float32")
ONES = np.ones((4, 1, 3, 3), "float32")


def conv(x, weight=WEIGHT, **attrs):
    return op.nn.conv2d(x, relax.const(weight), **attrs)


def cut(x, begin, end):
    return op.strided_slice(x, axes=[1], begin=[begin], end=[end])


def test_stack_and_reshape() -> None:
    """Ten channels, padded to twelve, folded onto four."""

    @I.ir_module
    class Stacked:
        @R.function
        def main(x: R.Tensor((1, 10, 6, 6), "float32")):
            with R.dataflow():
                y = conv(x)
                p = R.nn.pad(x, [0, 0, 0, 2, 0, 0, 0, 0])
                a = cut(p, 0, 4)
                b = cut(p, 4, 8)
                c = cut(p, 8, 12)
                d = R.reshape(a, (1, 1, 4, 6, 6))
                e = R.reshape(b, (1, 1, 4, 6, 6))
                f = R.reshape(c, (1, 1, 4, 6, 6))
                s = R.concat((d, e, f), axis=0)
                t = R.sum(s, axis=[0])
                z = R.add(y, t)
                R.output(z)
            return z

    @I.ir_module
    class Expected:
        @R.function
        def main(x: R.Tensor((1, 10, 6, 6), "float32")):
            with R.dataflow():
                y = conv(x)
                a = cut(x, 0, 4)
                b = cut(x, 4, 8)
                s = R.add(a, b)
                c = cut(x, 8, 10)
                d = R.nn.pad(c, [0, 0, 0, 2, 0, 0, 0, 0])
                t = R.add(s, d)
                z = R.add(y, t)
                R.output(z)
            return z

    assert_rewritten(SpellShortcuts(), Stacked, Expected)
    viewed = network(viewed_shortcut, (1, 10, 6, 6))
    other = SpellShortcuts()(viewed)
    names = [b.value.op.name for b in other["main"].body.blocks[0].bindings]
    assert "relax.sum" not in names and "relax.reshape" not in names
    inputs = random_inputs(Expected, 1)
    (expected,) = run(Expected, inputs)
    for module in (Stacked, viewed, other):
        np.testing.assert_allclose(run(module, inputs)[0], expected, rtol=1e-5, atol=1e-5)


def viewed_shortcut(emit, x):
    y = emit(conv(x))
    p = op.nn.pad(x, [0, 0, 0, 2, 0, 0, 0, 0])
    t = op.sum(op.reshape(p, (1, 3, 4, 36)), axis=[1])
    return op.add(op.reshape(t, (1, 4, 6, 6)), y)


def windows(emit, x):
    y = emit(conv(x, STRIDED, strides=2))
    t = op.strided_slice(x, axes=[2, 3], begin=[0, 0], end=[7, 7], strides=[2, 2])
    z = emit(op.add(y, t))
    w = emit(conv(z, STRIDED, strides=2))
    return op.add(w, conv(z, ONES, strides=2, padding=1, groups=4))


def averages(emit, x):
    y = emit(conv(x, STRIDED, strides=2))
    t = op.nn.avg_pool2d(x, (1, 1), strides=2, count_include_pad=True)
    z = emit(op.add(y, t))
    w = emit(conv(z, STRIDED, strides=2))
    u = op.nn.avg_pool2d(z, 3, 2, (1, 1, 0, 0), count_include_pad=True)
    return op.add(w, op.multiply(u, relax.const(9.0)))


def test_windows() -> None:
    """Every second pixel, and a convolution with ones."""
    before, expected = (network(build, (1, 4, 7, 7)) for build in (windows, averages))
    assert_rewritten(SpellShortcuts(), before, expected)


def shuffled(x):
    grid = op.reshape(x, (1, 2, 2, 6, 6))
    return op.reshape(op.permute_dims(grid, (0, 2, 1, 3, 4)), (1, 4, 6, 6))


def turned(x):
    return op.permute_dims(x, (0, 1, 3, 2))


def mirrored(x):
    return op.strided_slice(x, axes=[3], begin=[5], end=[-7], strides=[-1])


def beside_a_convolution(move):
    return lambda emit, x: op.add(emit(conv(x, STRIDED)), move(x))


def added_to_no_convolution(emit, x):
    t = emit(op.sum(op.reshape(x, (1, 2, 2, 6, 6)), axis=[1]))
    return op.add(op.exp(t), t)


@pytest.mark.parametrize(
    "build", [*map(beside_a_convolution, (shuffled, turned, mirrored)), added_to_no_convolution]
)
def test_what_keeps_its_form(build) -> None:
    """Chains that move channels or pixels, and what is added to no convolution."""
    assert_left_alone(SpellShortcuts(), network(build, (1, 4, 6, 6)))
