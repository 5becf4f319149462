"""Small Relax modules for tests of code generation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tvm
from tvm import relax

from relax_passes.operators import make_call


def module_of(
    shape: tuple[int, ...],
    dtype: str,
    body: Callable[[relax.BlockBuilder, relax.Var], relax.Expr],
) -> tvm.IRModule:
    """``main`` with one input ``x``; `body` emits all but the last operator and returns that."""
    x = relax.Var("x", relax.TensorType(shape, dtype))
    builder = relax.BlockBuilder()
    with builder.function("main", [x]):
        with builder.dataflow():
            result = builder.emit_output(body(builder, x))
        builder.emit_func_output(result)
    return builder.get()


def int8_block() -> tvm.IRModule:
    """Two convolutions and the residual addition; then a dense layer over the flattened map."""
    rng = np.random.default_rng(0)

    def quantized(*shape: int) -> list[relax.Expr]:
        channels = shape[0]
        arrays = [
            rng.integers(-127, 128, shape).astype("int8"),
            rng.integers(-500, 500, channels).astype("int32"),
            np.full(channels, 1 << 30, "int32"),
            np.full(channels, -6, "int32"),
        ]
        return [relax.const(array) for array in arrays]

    factor = 1 << 30

    def body(builder: relax.BlockBuilder, x: relax.Var) -> relax.Expr:
        same = {"padding": (1, 1, 1, 1)}
        a = builder.emit(make_call("conv2d", [x, *quantized(2, 3, 3, 2)], **same))
        b = builder.emit(make_call("conv2d", [a, *quantized(2, 3, 3, 2)], **same))
        c = builder.emit(
            make_call("add", [b, x], multipliers=(factor,) * 3, shifts=(0, 0, -18), left_shift=20)
        )
        flat = builder.emit(make_call("reshape", [c], shape=(1, 32)))
        return make_call("dense", [flat, *quantized(3, 32)])

    return module_of((1, 4, 4, 2), "int8", body)


def float32_normalized() -> tvm.IRModule:
    """A convolution and an operator that TVM compiles, with scratch memory."""
    rng = np.random.default_rng(1)
    weight = rng.standard_normal((2, 3, 3, 2)).astype("float32").round(2)
    bias, gamma, beta = (rng.standard_normal(2).astype("float32").round(2) for _ in range(3))

    def body(builder: relax.BlockBuilder, x: relax.Var) -> relax.Expr:
        operands = [x, relax.const(weight), relax.const(bias)]
        a = builder.emit(make_call("conv2d", operands, padding=(1, 1, 1, 1)))
        return relax.op.nn.layer_norm(a, relax.const(gamma), relax.const(beta), axes=[-1])

    return module_of((1, 4, 4, 2), "float32", body)
