from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import tvm
from tvm import relax
from tvm.relax import op

from relax_passes.canonicalization.split_projections import SplitProjections
from tests.relax_passes.network_parts import assert_same_results, network

rng = np.random.default_rng(0)
WEIGHT = relax.const(rng.standard_normal((8, 24)).astype("float32"))
BIAS = relax.const(rng.standard_normal(24).astype("float32"))
TOKENS = (1, 5, 8)


def called_by(mod: tvm.IRModule) -> list[str]:
    values = [binding.value for binding in mod["main"].body.blocks[0].bindings]
    return [value.op.name for value in values if isinstance(value, tvm.ir.Call)]


def layer(emit: Callable, x: relax.Expr) -> relax.Expr:
    return emit(op.add(emit(op.matmul(x, WEIGHT)), BIAS))


def slices(emit: Callable, x: relax.Expr, axis: int, *bounds: int) -> list[relax.Expr]:
    pairs = zip(bounds, bounds[1:])
    return [emit(op.strided_slice(x, [axis], [begin], [end])) for begin, end in pairs]


def thirds(emit: Callable, x: relax.Expr) -> tuple:
    """Queries, keys and values, each of two heads, along an axis in front."""
    parts = emit(op.reshape(layer(emit, x), (1, 5, 3, 2, 4)))
    parts = emit(op.permute_dims(parts, [2, 0, 3, 1, 4]))
    return tuple(emit(op.reshape(part, (2, 5, 4))) for part in slices(emit, parts, 0, 0, 1, 2, 3))


def within_heads(emit: Callable, x: relax.Expr) -> tuple:
    """Of unequal lengths, inside of each head."""
    return tuple(slices(emit, emit(op.reshape(layer(emit, x), (1, 5, 2, 12))), 3, 0, 3, 6, 12))


def quantized(emit: Callable, x: relax.Expr) -> tuple:
    scale, zero = relax.const(np.float32(0.1)), relax.const(np.int8(3))
    rounded = emit(op.quantize(layer(emit, x), scale, zero))
    real = emit(op.dequantize(rounded, scale, zero))
    return tuple(slices(emit, real, -1, 0, 8, 24))


@pytest.mark.parametrize("build, parts", [(thirds, 3), (within_heads, 3), (quantized, 2)])
def test_a_layer_for_each_slice(build: Callable, parts: int) -> None:
    before = network(build, TOKENS)
    after = SplitProjections()(before)
    called = called_by(after)
    assert called.count("relax.matmul") == parts and "relax.strided_slice" not in called
    assert_same_results(before, after)
    tvm.ir.assert_structural_equal(SplitProjections()(after), after)


def read_whole(emit: Callable, x: relax.Expr) -> tuple:
    whole = layer(emit, x)
    return (*slices(emit, whole, -1, 0, 8, 24), emit(op.abs(whole)))


def twice(emit: Callable, x: relax.Expr) -> tuple:
    whole = layer(emit, x)
    return (*slices(emit, whole, -1, 0, 20), *slices(emit, whole, -1, 4, 24))


def of_tokens(emit: Callable, x: relax.Expr) -> tuple:
    return tuple(slices(emit, layer(emit, x), 1, 0, 2, 5))


def alone(emit: Callable, x: relax.Expr) -> relax.Expr:
    return slices(emit, layer(emit, x), -1, 0, 8)[0]


@pytest.mark.parametrize("build", [read_whole, twice, of_tokens, alone])
def test_what_stays_one_layer(build: Callable) -> None:
    assert called_by(SplitProjections()(network(build, TOKENS))).count("relax.matmul") == 1
