"""Joins and binary operators of an int8 tensor with a constant, in QDQ form: the C against ORT.

Constants have other scales and zero points than the tensor, scales along an axis, every rank that
broadcasts, either place, and with a convolution behind the join another layout than memory's.  The
oracle is ONNX Runtime with graph optimizations off; what is off by more than a step fails.
"""

from __future__ import annotations

import zlib
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from tests.c_batch import CBatch, CLibrary, streamed_program
from tests.end_to_end.oracles import onnx_runtime
from tests.end_to_end.qdq_models import QDQModel

SHAPE = (1, 4, 6, 5)
STEP = 0.0973  # no simple multiple of the other scales: few sums are halfway between two steps
SHAPES = (SHAPE, (4, 1, 1), (5,), (6, 1), (), (1, 4, 6, 1))
BINARY = ("Add", "Sub", "Mul", "Div", "Max", "Min")
CONCAT = {1: (1, 3, 6, 5), 2: (1, 4, 2, 5), 3: (1, 4, 6, 2)}


def joined(
    operator: str, shape: tuple[int, ...], dtype: str, first: bool, conv: bool, axis: int | None
) -> onnx.ModelProto:
    """`x` and a constant of `shape` with scales along `axis`; the constant is `first`."""
    rng = np.random.default_rng(zlib.crc32(repr((operator, shape, dtype, first, conv)).encode()))
    kind = np.dtype(dtype).type
    middle = 128 if dtype == "uint8" else 0
    model = QDQModel()
    x = model.rounded(model.input("x", SHAPE), 0.05, kind(middle - 17))
    values = rng.integers(1, 120, shape).astype(dtype)
    of_constant = 0.025 if axis is None else rng.uniform(0.01, 0.04, shape[axis])
    zero = 0 if operator == "Div" else 40  # which nothing is divided by
    zeros = kind(zero) if axis is None else np.full(shape[axis], zero, dtype)
    constant = model.constant(values)
    constant = model.dequantize(constant, of_constant, zeros, 0 if axis is None else axis)
    operands = [constant, x] if first else [x, constant]
    if operator == "Where":
        operands.insert(0, model.constant(rng.integers(0, 2, (6, 5)).astype(bool)))
    attributes = {}
    if operator.startswith("Concat"):
        operands.append(x)
        operator, attributes = "Concat", {"axis": int(operator[-1])}
    y = model.node(operator, *operands, **attributes)
    y = model.rounded(y, STEP, kind(middle + 5))
    if conv:
        channels = 2 * SHAPE[1] + 3 if attributes.get("axis") == 1 else SHAPE[1]
        weight = model.constant(rng.integers(-127, 128, (3, channels, 1, 1)).astype(np.int8))
        weight = model.dequantize(weight, 0.01, np.int8(0))
        y = model.rounded(model.node("Conv", y, weight), STEP, kind(middle))
    return model.build(y=(y, "float32"))


def padded(value: float, conv: bool) -> onnx.ModelProto:
    """A padding with a number that an integer stands for, or none does."""
    model = QDQModel()
    x = model.rounded(model.input("x", SHAPE), 0.05, np.int8(-17))
    amounts = model.constant(np.array([0, 0, 1, 0, 0, 0, 0, 2], np.int64))
    y = model.node("Pad", x, amounts, model.constant(np.float32(value)))
    y = model.rounded(y, STEP, np.int8(3))
    if conv:
        weight = np.random.default_rng(0).integers(-127, 128, (3, 4, 1, 1)).astype(np.int8)
        weight = model.dequantize(model.constant(weight), 0.01, np.int8(0))
        y = model.rounded(model.node("Conv", y, weight), STEP, np.int8(0))
    return model.build(y=(y, "float32"))


MODELS = {}
for count, (operator, shape) in enumerate(product((*BINARY, "Where"), SHAPES)):
    first, unsigned, conv = (bool(count >> bit & 1) for bit in (0, 1, 2))
    make = partial(joined, operator, shape, "uint8" if unsigned else "int8", first, conv)
    MODELS[f"{operator}_{len(shape)}_{count}"] = make(axis=None)
    if shape == SHAPE:
        MODELS[f"{operator}_by_channel"] = make(axis=1)
for (axis, shape), conv, dtype in product(CONCAT.items(), (False, True), ("int8", "uint8")):
    name = f"Concat{axis}_{dtype}{'_conv' * conv}"
    MODELS[name] = joined(f"Concat{axis}", shape, dtype, conv, conv, None)
    if conv and dtype == "int8":
        MODELS[f"{name}_by_channel"] = joined(f"Concat{axis}", shape, dtype, False, conv, 1)
for index, (value, conv) in enumerate(product((0.0, -1.25, 0.333, 100.0), (False, True))):
    MODELS[f"Pad_{index}"] = padded(value, conv)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> CLibrary:
    """The C of all models."""
    batch = CBatch()
    for name, model in MODELS.items():
        batch.add(name, streamed_program(model))
    return batch.build(Path(tmp_path_factory.mktemp("c")))


@pytest.mark.parametrize("name", MODELS)
def test_within_a_step_of_onnx_runtime(library: CLibrary, name: str) -> None:
    x = (np.random.default_rng(0).standard_normal(SHAPE) * 3).astype(np.float32)
    (expected,) = onnx_runtime(MODELS[name], [{"x": x}])
    output = library.run(name, {"x": x})[0]["y"]
    assert len(np.unique(expected["y"])) > 10
    off = np.abs(output - expected["y"]) > STEP / 2
    assert off.mean() < 0.03
    np.testing.assert_allclose(output, expected["y"], atol=STEP * 1.001, rtol=0)


def test_constants_are_rescaled_at_compile_time() -> None:
    program = streamed_program(MODELS["Concat3_int8_conv"])
    constants = {array.shape for array in program.network.constants.values()}
    (source,) = [
        numpy_helper.to_array(tensor)
        for tensor in MODELS["Concat3_int8_conv"].graph.initializer
        if tuple(tensor.dims) == CONCAT[3]
    ]
    batch, channels, height, width = source.shape
    assert (batch, height, width, channels) in constants
