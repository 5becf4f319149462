"""SpellShortcuts: before and after, and what keeps its form.

tests/end_to_end/test_shortcut_idioms.py has the spellings that people use, from PyTorch on.
"""

from __future__ import annotations

import numpy as np
import pytest
import tvm
from tvm import relax
from tvm.script import ir as I
from tvm.script import relax as R

from relax_passes.canonicalization.spell_shortcuts import SpellShortcuts

WEIGHT = np.random.default_rng(0).standard_normal((4, 10, 1, 1)).astype("float32")
STRIDED = np.random.default_rng(0).standard_normal((4, 4, 1, 1)).astype("float32")
ONES = np.ones((4, 1, 3, 3), "float32")


def conv(x, weight=WEIGHT, **attrs):
    return relax.op.nn.conv2d(x, relax.const(weight), **attrs)


def cut(x, begin, end):
    return relax.op.strided_slice(x, axes=[1], begin=[begin], end=[end])


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
    class Viewed:
        @R.function
        def main(x: R.Tensor((1, 10, 6, 6), "float32")):
            with R.dataflow():
                y = conv(x)
                p = R.nn.pad(x, [0, 0, 0, 2, 0, 0, 0, 0])
                v = R.reshape(p, (1, 3, 4, 36))
                t = R.sum(v, axis=[1])
                u = R.reshape(t, (1, 4, 6, 6))
                z = R.add(u, y)
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

    after = SpellShortcuts()(Stacked)
    tvm.ir.assert_structural_equal(after, Expected)
    tvm.ir.assert_structural_equal(SpellShortcuts()(after), after)
    other = SpellShortcuts()(Viewed)
    names = [b.value.op.name for b in other["main"].body.blocks[0].bindings]
    assert "relax.sum" not in names and "relax.reshape" not in names
    x = np.random.default_rng(1).standard_normal((1, 10, 6, 6)).astype("float32")
    for module in (Stacked, Viewed, after, other):
        np.testing.assert_allclose(run(module, x), run(Expected, x), rtol=1e-5, atol=1e-5)


def test_windows() -> None:
    """Every second pixel, and a convolution with ones."""

    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((1, 4, 7, 7), "float32")):
            with R.dataflow():
                y = conv(x, STRIDED, strides=2)
                t = R.strided_slice(x, axes=[2, 3], begin=[0, 0], end=[7, 7], strides=[2, 2])
                z = R.add(y, t)
                w = conv(z, STRIDED, strides=2)
                u = conv(z, ONES, strides=2, padding=1, groups=4)
                v = R.add(w, u)
                R.output(v)
            return v

    @I.ir_module
    class Expected:
        @R.function
        def main(x: R.Tensor((1, 4, 7, 7), "float32")):
            with R.dataflow():
                y = conv(x, STRIDED, strides=2)
                t = R.nn.avg_pool2d(x, (1, 1), strides=2, count_include_pad=True)
                z = R.add(y, t)
                w = conv(z, STRIDED, strides=2)
                u = R.nn.avg_pool2d(z, 3, 2, (1, 1, 0, 0), count_include_pad=True)
                n = R.multiply(u, R.const(9.0))
                v = R.add(w, n)
                R.output(v)
            return v

    tvm.ir.assert_structural_equal(SpellShortcuts()(Before), Expected)


def shuffled(x):
    grid = relax.op.reshape(x, (1, 2, 2, 6, 6))
    return relax.op.reshape(relax.op.permute_dims(grid, (0, 2, 1, 3, 4)), (1, 4, 6, 6))


def turned(x):
    return relax.op.permute_dims(x, (0, 1, 3, 2))


def mirrored(x):
    return relax.op.strided_slice(x, axes=[3], begin=[5], end=[-7], strides=[-1])


@pytest.mark.parametrize("move", [shuffled, turned, mirrored])
def test_chains_that_move_channels_or_pixels_keep_their_form(move) -> None:
    x = relax.Var("x", relax.TensorType((1, 4, 6, 6), "float32"))
    builder = relax.BlockBuilder()
    with builder.function("main", [x]):
        with builder.dataflow():
            y = builder.emit(conv(x, STRIDED))
            z = builder.emit_output(relax.op.add(y, builder.normalize(move(x))))
        builder.emit_func_output(z)
    module = builder.finalize()
    tvm.ir.assert_structural_equal(SpellShortcuts()(module), module)


def test_what_is_added_to_no_convolution_keeps_its_form() -> None:
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((1, 4, 6, 6), "float32")):
            with R.dataflow():
                v = R.reshape(x, (1, 2, 2, 6, 6))
                t = R.sum(v, axis=[1])
                y = R.exp(t)
                z = R.add(y, t)
                R.output(z)
            return z

    tvm.ir.assert_structural_equal(SpellShortcuts()(Before), Before)


def run(module, x):
    machine = relax.VirtualMachine(tvm.compile(module, "llvm"), tvm.cpu())
    return machine["main"](tvm.runtime.tensor(x)).numpy()
