"""ONNX layers whose weights have zero points of their own: integer, and as ONNX Runtime has them.

The oracle is ONNX Runtime with graph optimizations off.  Its QLinear operators compute in integers
and requantize in floating point; QDQ layers compute in floating point altogether.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import onnx
import pytest

from dero_tvm.driver.prepare import prepare
from relax_passes.ir.attributes import DECISIONS
from tests.compiled.c_batch import CLibrary, streamed_library
from tests.end_to_end.oracles import onnx_runtime
from tests.end_to_end.qdq_models import QDQModel

SHAPE = (1, 4, 7, 6)
WEIGHTS = {"Conv": (5, 4, 3, 3), "depthwise": (4, 1, 3, 3), "MatMul": (168, 6)}
ZERO_POINTS = {"uint8": (0, 77, 128, 255), "int8": (-128, -9, 60)}
X_SCALE, W_SCALE = 0.0317, 0.0113


def layer(kind: str, dtype: str, zero_point: int, form: str) -> onnx.ModelProto:
    """A layer of int8 or uint8 data and weights, with `zero_point` for the weights."""
    rng = np.random.default_rng([*kind.encode(), zero_point + 128])
    number, limits = np.dtype(dtype).type, np.iinfo(dtype)
    shape = WEIGHTS[kind]
    weight = rng.integers(limits.min, limits.max + 1, shape).astype(dtype)
    taps = shape[0] if kind == "MatMul" else int(np.prod(shape[1:]))
    scale = X_SCALE * W_SCALE * 142.3719 * float(np.sqrt(taps))
    zero_in, zero_out = number(limits.max - 127), number(limits.max - 130)
    model = QDQModel()
    x, w = model.input("x", SHAPE, dtype), model.constant(weight)
    attributes = {} if kind == "MatMul" else {"pads": [1, 1, 0, 1]}
    if kind == "depthwise":
        attributes["group"] = 4
    if kind == "MatMul":
        x = model.node("Reshape", x, model.constant(np.array([1, 168], np.int64)))
    operator = "MatMul" if kind == "MatMul" else "Conv"
    if form == "QLinear":
        parameters = [
            (X_SCALE, zero_in),
            (W_SCALE, number(zero_point)),
            (scale, zero_out),
        ]
        constants = [
            (model.constant(np.float32(scale)), model.constant(zero)) for scale, zero in parameters
        ]
        operands = [x, *constants[0], w, *constants[1], *constants[2]]
        return model.build(y=(model.node(f"QLinear{operator}", *operands, **attributes), dtype))
    real_x = model.dequantize(x, X_SCALE, zero_in)
    real_w = model.dequantize(w, W_SCALE, number(zero_point))
    y = model.node(operator, real_x, real_w, **attributes)
    return model.build(y=(model.quantize(y, scale, zero_out), dtype))


CASES = [
    (kind, dtype, zero, form)
    for kind, dtype in product(WEIGHTS, ZERO_POINTS)
    for zero, form in product(ZERO_POINTS[dtype], ("QLinear", "QDQ"))
]
NAMES = {case: "_".join(str(part).replace("-", "minus") for part in case) for case in CASES}


@pytest.fixture(scope="module")
def library() -> CLibrary:
    """The C of all cases."""
    return streamed_library({name: layer(*case) for case, name in NAMES.items()})


@pytest.mark.parametrize("case", CASES, ids=NAMES.get)
def test_onnx_runtime_agrees(library: CLibrary, case: tuple) -> None:
    _, dtype, _, _ = case
    limits = np.iinfo(dtype)
    rng = np.random.default_rng(2)
    for _ in range(4):
        x = rng.integers(limits.min, limits.max + 1, SHAPE).astype(dtype)
        (expected,) = onnx_runtime(layer(*case), [{"x": x}])
        output = library.run(NAMES[case], {"x": x})[0]["y"]
        np.testing.assert_array_equal(output, expected["y"])
        assert len(np.unique(output)) > 3


@pytest.mark.parametrize("case", CASES[::3], ids=NAMES.get)
def test_they_are_integer(case: tuple) -> None:
    main = prepare(layer(*case)).canonical["main"]
    assert "dero.notes" not in main.attrs
    assert "float32" not in str(main.without_attr(DECISIONS))


def test_weights_that_fit_int8_become_symmetric() -> None:
    """Kernels of Arm cores know these alone."""
    model = layer("Conv", "uint8", 128, "QDQ")
    main = prepare(model).canonical["main"]
    (call,) = [b.value for b in main.body.blocks[0].bindings if "conv2d" in str(b.value.op)]
    assert call.attrs["weight_zero_point"] == 0
