"""Operators inside a Relax module that TVM compiles for the host: legalization end to end."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
from tvm import relax

from relax_passes.operators import TensorSpec, make_call, quantized
from tests.operator_checks import random_array
from tests.row_kernel_runner import RowKernel

IMAGE = (2, 4, 5, 6)
CASES = {
    "add_float32": ("add", [(IMAGE, "float32"), ((6,), "float32")], {"minimum": 0.0}),
    "add_int8": (
        "add",
        [(IMAGE, "int8"), (IMAGE, "int8")],
        {"zero_points": (3, -4, 5), **quantized.add_factors(0.03, 0.05, 0.07)},
    ),
    "subtract_int8": (
        "subtract",
        [(IMAGE, "int8"), ((2, 1, 1, 6), "int8")],
        {"zero_points": (3, -4, 5), **quantized.subtract_factors(0.03, 0.05, 0.07)},
    ),
    "multiply_int8": (
        "multiply",
        [(IMAGE, "int8"), (IMAGE, "int8")],
        {"zero_points": (3, -4, 5), "multiplier": 1234567890, "shift": -6},
    ),
    "divide": ("divide", [(IMAGE, "float32"), ((4, 5, 6), "float32")], {}),
    "power": ("power", [(IMAGE, "float32"), ((), "float32")], {}),
    "maximum": ("maximum", [(IMAGE, "int8"), (IMAGE, "int8")], {"maximum": 100}),
    "minimum": ("minimum", [((7,), "float32"), ((3, 7), "float32")], {}),
    "concat": ("concat", [(IMAGE, "int8"), ((2, 4, 5, 1), "int8"), (IMAGE, "int8")], {"axis": -1}),
    "pad": (
        "pad",
        [(IMAGE, "int8")],
        {"pad_before": (0, 1, 0, 2), "pad_after": (0, 2, 1, 0), "value": -7},
    ),
    "resize2d": ("resize2d", [(IMAGE, "float32")], {"size": (8, 7), "coordinates": "half_pixel"}),
    "transpose": ("transpose", [(IMAGE, "int8")], {"axes": (0, 3, 1, 2)}),
    "reshape": ("reshape", [(IMAGE, "int8")], {"shape": (8, 30)}),
    "slice": ("slice", [(IMAGE, "int8")], {"begin": (0, 1, 0, 0), "end": (2, 4, 5, 6)}),
    "quantize": ("quantize", [(IMAGE, "float32")], {"scale": 0.0123456789, "zero_point": -3}),
    "dequantize": ("dequantize", [(IMAGE, "int8")], {"scale": 0.0123456789, "zero_point": -3}),
    "conv2d": (
        "conv2d",
        [(IMAGE, "float32"), ((4, 3, 3, 6), "float32"), ((4,), "float32")],
        {"padding": (1, 1, 1, 1)},
    ),
}


@pytest.mark.parametrize("case", sorted(CASES))
def test_compiled_module_equals_the_row_kernel(case):
    name, operands, attrs = CASES[case]
    rng = np.random.default_rng(5)
    arrays = [random_array(rng, shape, dtype) for shape, dtype in operands]
    if name == "power":
        arrays[0] = np.abs(arrays[0])
    expected = RowKernel(
        name, [TensorSpec(shape, dtype) for shape, dtype in operands], **attrs
    ).run_rows(*arrays)

    variables = [
        relax.Var(f"x{index}", relax.TensorType(shape, dtype))
        for index, (shape, dtype) in enumerate(operands)
    ]
    builder = relax.BlockBuilder()
    with builder.function("main", variables):
        builder.emit_func_output(builder.emit(make_call(name, variables, **attrs)))
    module = builder.get()
    assert tuple(int(n) for n in module["main"].ret_ty.shape) == expected.shape

    machine = relax.VirtualMachine(tvm.compile(module, "llvm"), tvm.cpu())
    result = machine["main"](*(tvm.runtime.tensor(array) for array in arrays)).numpy()
    np.testing.assert_array_equal(result, expected)
