"""Operators that move elements, or pick some: every pass that moves quantization goes past them."""

from __future__ import annotations

import pytest
from tvm import relax
from tvm.relax import op

from relax_passes.canonicalization.commute_quantization import CommuteQuantization
from relax_passes.canonicalization.signed_quantization import SignQuantization
from tests.relax_passes.network_parts import assert_rewritten, network

SHAPE = (1, 4, 4, 2)
MOVES = {
    "reshape": lambda x: op.reshape(x, (8, 4)),
    "permute_dims": lambda x: op.permute_dims(x, axes=[0, 3, 1, 2]),
    "strided_slice": lambda x: op.strided_slice(x, axes=[1], begin=[1], end=[3]),
    "concat": lambda x: op.concat((x, x), axis=3),
    "broadcast_to": lambda x: op.broadcast_to(x, (3, 4, 4, 2)),
    "tile": lambda x: op.tile(x, (1, 2, 1, 1)),
    "repeat": lambda x: op.repeat(x, 2, axis=1),
    "flip": lambda x: op.flip(x, axis=2),
    "max_pool2d": lambda x: op.nn.max_pool2d(x, pool_size=[2, 2], layout="NHWC"),
    "max": lambda x: op.max(x, axis=[1, 2]),
    "min": lambda x: op.min(x, axis=[3]),
    "maximum": lambda x: op.maximum(x, x),
    "minimum": lambda x: op.minimum(x, x),
    "nearest": lambda x: op.image.resize2d(x, (8, 8), layout="NHWC", method="nearest_neighbor"),
    "reflected": lambda x: op.nn.pad(x, (0, 0, 1, 1, 1, 1, 0, 0), "reflect"),
}


def parameters(zero_point: int):
    return relax.const(0.1, "float32"), relax.const(zero_point, "int32")


@pytest.mark.parametrize("move", MOVES.values(), ids=MOVES)
def test_integers_move(move) -> None:
    """quantize(move(dequantize(x))) is move(x)."""

    def before(emit, x):
        moved = move(emit(op.dequantize(x, *parameters(-3))))
        return op.quantize(moved, *parameters(-3), out_dtype="int8")

    modules = (network(build, SHAPE, dtype="int8") for build in (before, lambda _, x: move(x)))
    assert_rewritten(CommuteQuantization(), *modules)


@pytest.mark.parametrize("move", MOVES.values(), ids=MOVES)
def test_signed_integers_move(move) -> None:
    """Nothing of uint8 is left between a `quantize` and a `dequantize`."""

    def build(dtype, zero_point):
        def chain(emit, x):
            q = emit(op.quantize(x, *parameters(zero_point), out_dtype=dtype))
            return op.dequantize(move(q), *parameters(zero_point))

        return network(chain, SHAPE)

    assert_rewritten(SignQuantization(), build("uint8", 120), build("int8", -8))


@pytest.mark.parametrize(
    "almost",
    [
        lambda x: op.image.resize2d(x, (8, 8), layout="NHWC", method="linear"),
        lambda x: op.mean(x, axis=[1, 2]),
    ],
)
def test_what_calculates_is_no_move(almost) -> None:
    def build(emit, x):
        d = emit(op.dequantize(x, *parameters(-3)))
        return op.quantize(almost(d), *parameters(-3), out_dtype="int8")

    before = network(build, SHAPE, dtype="int8")
    names = [b.value.op.name for b in CommuteQuantization()(before)["main"].body.blocks[0].bindings]
    assert names[0] == "relax.dequantize" and names[-1] == "relax.quantize"
