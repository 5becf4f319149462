"""Operators that become tables of 256 entries: all inputs, against what they stand for.

TFLite's additions, subtractions and multiplications of a tensor and a constant, or of a tensor and
itself, are fixed point, and LiteRT's reference kernels decide; ONNX's elementwise functions are
float32 operator by operator, and ONNX Runtime with graph optimizations off decides.  Output scales
are drawn, and half of the time such that many results lie halfway between two integers.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
import onnx
import pytest

from dero_tvm.aot.program import Program, build_program
from dero_tvm.driver.choose_plan import smallest
from dero_tvm.driver.dero_levels import Dero
from dero_tvm.driver.prepare import prepare
from tests.compiled.c_batch import CLibrary, library_of, streamed_program
from tests.end_to_end.oracles import litert, onnx_runtime
from tests.end_to_end.qdq_models import QDQModel
from tests.models.tflite_builder import TFLiteBuilder

SHAPE = (1, 8, 8, 4)
TYPES = ("int8", "uint8")
ACTIVATIONS = ("NONE", "RELU", "RELU6")
SEEDS = range(2)
CODES = ("ADD", "SUB", "REVERSED_SUB", "MUL", "ADD_ITSELF", "MUL_ITSELF")
TFLITE = [
    (*case, seed) for case in product(CODES, TYPES, ACTIVATIONS)
    for seed in SEEDS
]  # fmt: skip
ONNX = list(product(TYPES, SEEDS))


def every_input(dtype: str) -> np.ndarray:
    limits = np.iinfo(dtype)
    return np.arange(limits.min, limits.max + 1).astype(dtype).reshape(SHAPE)


def one_operator(code: str, dtype: str, activation: str, seed: int) -> bytes:
    """On a tensor and a constant of one element, or on the tensor twice; seed 0 makes ties."""
    rng = np.random.default_rng([*code.encode(), *dtype.encode(), len(activation), seed])
    middle = 128 if dtype == "uint8" else 0
    scale = float(np.float32(rng.uniform(0.01, 0.05)))
    of_constant, of_output = scale, 2 * scale
    if code == "MUL_ITSELF" and not seed:
        of_output = 8 * scale**2
    elif seed or code == "MUL":
        of_constant, of_output = (scale * float(np.exp(rng.uniform(-1, 1))) for _ in range(2))
    builder = TFLiteBuilder()
    x = builder.input(
        "x", SHAPE, dtype, scale=scale, zero_point=middle + int(rng.integers(-20, 20))
    )
    value = np.array(middle + rng.integers(-60, 20)).astype(dtype).reshape((1,) * int(seed))
    zero = middle + int(rng.integers(-9, 9))
    c = builder.constant("c", value, scale=of_constant, zero_point=zero)
    if code.endswith("_ITSELF"):
        c = x
    y = builder.tensor("y", None, dtype, scale=of_output, zero_point=middle - 90)
    operands = [c, x] if code == "REVERSED_SUB" else [x, c]
    code = code.removeprefix("REVERSED_").removesuffix("_ITSELF")
    builder.operator(code, operands, [y], fused_activation_function=activation)
    return builder.build(outputs=[y])


FUNCTIONS: dict[str, Callable[[QDQModel, str, float], str]] = {}
for name in "Abs Neg Relu Exp Sigmoid Tanh HardSwish Elu Gelu Softplus Erf Floor".split():
    FUNCTIONS[name] = lambda m, x, s, name=name: m.node(name, x)
for name in "Add Sub Mul Div Max Min".split():
    FUNCTIONS[name] = lambda m, x, s, name=name: m.node(name, x, m.constant(np.float32(37 * s)))
    FUNCTIONS[f"{name}Quantized"] = lambda m, x, s, name=name: m.node(
        name, x, m.dequantize(m.constant(np.array([45], np.int8)), 0.7 * s, np.int8(-9), axis=0)
    )
FUNCTIONS |= {
    "LeakyRelu": lambda m, x, s: m.node("LeakyRelu", x, alpha=0.1),
    "Clip": lambda m, x, s: m.node(
        "Clip", x, m.constant(np.float32(-20 * s)), m.constant(np.float32(50 * s))
    ),
    "Doubled": lambda m, x, s: m.node("Add", x, x),
    "Multiplied": lambda m, x, s: m.node("Mul", x, x),
    "ReversedSub": lambda m, x, s: m.node("Sub", m.constant(np.float32(127.5 * s)), x),
    "Normalized": lambda m, x, s: m.node(
        "Sub", m.node("Mul", x, m.constant(np.float32(1 / 127.5))), m.constant(np.float32(s))
    ),
    "Swish": lambda m, x, s: m.node("Mul", x, m.node("Sigmoid", x)),
    "Softsign": lambda m, x, s: m.node(
        "Div", x, m.node("Add", m.node("Abs", x), m.constant(np.float32(1)))
    ),
    "Root": lambda m, x, s: m.node("Sqrt", m.node("Abs", x)),
    "Square": lambda m, x, s: m.node("Pow", x, m.constant(np.float32(2))),
    "Requantized": lambda m, x, s: m.node("Identity", x),
}


def elementwise(dtype: str, seed: int) -> onnx.ModelProto:
    """All functions of one tensor, each an output; with seed 0 the scales are powers of two."""
    rng = np.random.default_rng([*dtype.encode(), seed])
    number, limits = np.dtype(dtype).type, np.iinfo(dtype)
    scale = float(np.float32(1 / 32 if seed == 0 else np.exp(rng.uniform(-5, -2))))
    zero = number(limits.max - rng.integers(1, 255))
    model = QDQModel()
    x = model.input("x", SHAPE, dtype)
    outputs = {}
    for name, function in FUNCTIONS.items():
        result = function(model, model.dequantize(x, scale, zero), scale)
        ratio = 2.0 if seed == 0 else float(np.exp(rng.uniform(-0.5, 1.5)))
        zero_out = number(limits.max - rng.integers(64, 192))
        outputs[name] = (model.quantize(result, ratio * scale, zero_out), dtype)
    return model.build(**outputs)


def tflite_name(case: tuple) -> str:
    return "_".join(map(str, case))


def plain_program(model: onnx.ModelProto) -> Program:
    """Whole tensors: streaming dozens of outputs takes the planner minutes."""
    prepared = prepare(model, target="host", time_limit=0.2)
    chosen = smallest(prepared.candidates(), Dero.NONE)
    return build_program(chosen.scheduled, chosen.plan)


@pytest.fixture(scope="module")
def library() -> CLibrary:
    """The C of everything."""
    programs = {tflite_name(case): streamed_program(one_operator(*case)) for case in TFLITE}
    for dtype, seed in ONNX:
        programs[f"onnx_{dtype}_{seed}"] = plain_program(elementwise(dtype, seed))
    return library_of(programs)


@pytest.mark.parametrize("case", TFLITE, ids=tflite_name)
def test_tflite_operators_are_litert(library: CLibrary, case: tuple) -> None:
    x = every_input(case[1])
    (expected,) = litert(one_operator(*case), [x])
    assert len(np.unique(expected)) > 2
    output = library.run(tflite_name(case), {"x": x})[0]["y"]
    np.testing.assert_array_equal(output, expected)


@pytest.mark.parametrize("case", TFLITE[::5], ids=tflite_name)
def test_they_are_tables(case: tuple) -> None:
    assert "dero.lookup" in str(prepare(one_operator(*case)).canonical["main"])


@pytest.mark.parametrize(("dtype", "seed"), ONNX)
def test_onnx_functions_are_onnx_runtime(library: CLibrary, dtype: str, seed: int) -> None:
    x = every_input(dtype)
    model = elementwise(dtype, seed)
    (expected,) = onnx_runtime(model, [{"x": x}])
    outputs, _ = library.run(f"onnx_{dtype}_{seed}", {"x": x})
    for name, values in expected.items():
        np.testing.assert_array_equal(outputs[name], values, err_msg=name)
