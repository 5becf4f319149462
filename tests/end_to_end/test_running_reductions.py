"""Global pooling and reductions inside cascades take their input one row at a time."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
from tvm import relax

from dero_tvm import compile
from relax_passes.operators import make_call
from tests.end_to_end.oracles import skip_unless_runnable

HEIGHT, WIDTH, CHANNELS = 9, 7, 8
SIZE = {"pool_size": (HEIGHT, WIDTH)}
FACTOR = {"multiplier": 1518500250, "shift": -5, "input_zero_point": 3, "output_zero_point": -7}
OPERATORS = {
    "float mean": ("reduce", "float32", {"kind": "mean", "axes": (1, 2)}),
    "float sum over height": ("reduce", "float32", {"kind": "sum", "axes": (1,), "keepdims": True}),
    "float max": ("reduce", "float32", {"kind": "max", "axes": (1, 2), "keepdims": True}),
    "int8 mean": ("reduce", "int8", {"kind": "mean", "axes": (1, 2), **FACTOR}),
    "int8 min": ("reduce", "int8", {"kind": "min", "axes": (1, 2)}),
    "float average pool": ("pool2d", "float32", {"kind": "average", **SIZE}),
    "int8 average pool": ("pool2d", "int8", {"kind": "average", **SIZE}),
    "int8 rescaled average": ("pool2d", "int8", {"kind": "average", **SIZE, **FACTOR}),
    "int8 max pool, strip by strip": (
        "pool2d",
        "int8",
        {"kind": "max", "pool_size": (HEIGHT, 3), "strides": (1, 2), "padding": (0, 1, 0, 1)},
    ),
}


def network(name: str, dtype: str, attrs: dict) -> tvm.IRModule:
    """A convolution, so that there is something to stream, and the operator."""
    rng = np.random.default_rng(0)
    channels = 2
    x = relax.Var("x", relax.TensorType((1, HEIGHT, WIDTH, channels), dtype))
    if dtype == "int8":
        weight = rng.integers(-127, 128, (CHANNELS, 3, 3, channels)).astype("int8")
        rest = [
            rng.integers(-500, 500, CHANNELS).astype("int32"),
            np.full(CHANNELS, 1 << 30, "int32"),
            np.full(CHANNELS, -8, "int32"),
        ]
    else:
        weight = rng.standard_normal((CHANNELS, 3, 3, channels)).astype("float32")
        rest = [rng.standard_normal(CHANNELS).astype("float32")]
    builder = relax.BlockBuilder()
    operands = [x, relax.const(weight), *map(relax.const, rest)]
    with builder.function("main", [x]):
        with builder.dataflow():
            y = builder.emit(make_call("conv2d", operands, padding=(1, 1, 1, 1)))
            z = builder.emit_output(make_call(name, [y], **attrs))
        builder.emit_func_output(z)
    return builder.get()


@pytest.mark.parametrize("case", OPERATORS)
def test_same_bits_as_the_whole_operator(case: str) -> None:
    name, dtype, attrs = OPERATORS[case]
    module = network(name, dtype, attrs)
    rng = np.random.default_rng(1)
    shape = (1, HEIGHT, WIDTH, 2)
    data = (
        rng.integers(-128, 128, shape).astype("int8")
        if dtype == "int8"
        else rng.standard_normal(shape).astype("float32")
    )
    machine = relax.VirtualMachine(tvm.compile(module, "llvm"), tvm.cpu())
    expected = machine["main"](tvm.runtime.tensor(data)).numpy()
    model = compile(module, dero="stream")
    operations = [op for cascade in model.network.cascades for op in cascade.operations]
    assert [op.state is not None for op in operations] == [False, True]
    skip_unless_runnable("host-c")
    (output,) = model.run({"x": data}, "host-c").values()
    np.testing.assert_array_equal(output, expected)
    # A row of the convolution is all that is kept of it.
    row = operations[0].result  # alone, or with its cascade's name if it is a ring
    sizes = [b.size for b in model.report.buffers if b.name.split(".")[-1] == row]
    assert sizes == [WIDTH * CHANNELS * np.dtype(dtype).itemsize]
