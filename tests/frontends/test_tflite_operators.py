"""Every int8 TFLite operator that CNNs use, in one C program, bit by bit against LiteRT."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import pytest

from dero_tvm.frontends import LoadedModel, ModelPort
from dero_tvm.frontends.tflite import load_tflite
from tests.compiled.c_batch import CLibrary, library_of, whole_program
from tests.frontends.tflite_moves import IN, MOVES, SHAPE
from tests.frontends.tflite_sweep import (
    INT16_LITERT,
    INT16_MICRO,
    LITERT,
    MICRO,
    TRANSPOSED,
    Case,
)
from tests.models.tflite_builder import TFLiteBuilder, run_litert_reference
from tests.oracles.tflite_micro_runner import run_tflite_micro

DRAWS = 4
CASES: dict[str, Case] = {**MOVES}

OUT = {"scale": 0.04, "zero_point": 5}


def case(name: str) -> Callable[[Case], Case]:
    """Register a model."""

    def register(build: Case) -> Case:
        CASES[name] = build
        return build

    return register


@case("select")
def _(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
    x = b.input("x", SHAPE, "int8", **IN)
    z = b.input("z", (1, 1, 1, 4), "int8", **IN)
    where = b.tensor("where", SHAPE, "bool")
    b.operator("GREATER", [x, z], [where])
    y = b.tensor("y", None, "int8", **IN)
    b.operator("SELECT_V2", [where, x, z], [y])
    return [y]


def embedding(result: str, **quantization: float) -> Case:
    """Of indices that are within the table, as LiteRT wants them."""

    def build(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
        x = b.input("x", (7,), "int32")
        for code, limit in (("MAXIMUM", 0), ("MINIMUM", 4)):
            bound = b.constant(code, [limit], "int32")
            operands, x = [x, bound], b.tensor(f"{code} of x", (7,), "int32")
            b.operator(code, operands, [x])
        table = b.constant("table", rng.integers(-128, 128, (5, 6), "int8"), scale=0.07)
        y = b.tensor("y", (7, 6), result, **quantization)
        b.operator("EMBEDDING_LOOKUP", [x, table], [y])
        return [y]

    return build


CASES["embedding_lookup"] = embedding("int8", scale=0.07)
CASES["embedding_lookup_in_float"] = embedding("float32")


@case("dynamic_update_slice")
def _(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
    x = b.input("x", SHAPE, "int8", **IN)
    z = b.input("z", (1, 2, 3, 4), "int8", **IN)
    start = b.constant("start", [0, 3, 9, 0], "int32")  # beyond the end
    y = b.tensor("y", SHAPE, "int8", **IN)
    b.operator("DYNAMIC_UPDATE_SLICE", [x, z, start], [y])
    return [y]


def started(b: TFLiteBuilder, divisors: list[int], lowest: int, kind: str) -> int:
    """A computed place on SHAPE: remainders of an input, counted from `lowest`."""
    s = b.input("s", (4,), kind)
    divisor, offset = b.constant("divisor", divisors, kind), b.constant("l", [lowest], kind)
    remainder, start = b.tensor("remainder", (4,), kind), b.tensor("start", (4,), kind)
    b.operator("FLOOR_MOD", [s, divisor], [remainder])
    b.operator("ADD", [remainder, offset], [start])
    return start


@case("dynamic_update_slice_at_a_computed_start")
def _(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
    x = b.input("x", SHAPE, "int8", **IN)
    z = b.input("z", (1, 2, 3, 4), "int8", **IN)
    y = b.tensor("y", SHAPE, "int8", **IN)
    start = started(b, [9] * 4, -2, "int32")  # outside, too
    b.operator("DYNAMIC_UPDATE_SLICE", [x, z, start], [y])
    return [y]


@case("slice_at_a_computed_start")
def _(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
    x = b.input("x", SHAPE, "int8", **IN)
    size = b.constant("size", [1, 2, 3, 4], "int64")
    y = b.tensor("y", (1, 2, 3, 4), "int8", **IN)
    b.operator("SLICE", [x, started(b, [1, 5, 6, 1], 0, "int64"), size], [y])
    return [y]


@case("parts_without_elements")
def _(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
    x = b.input("x", SHAPE, "int8", **IN)
    bounds = [b.constant(f"c{i}", v, "int32") for i, v in enumerate(([0, 2], [1, 2], [1, 1]))]
    none = b.tensor("none", None, "int8", **IN)
    b.operator("STRIDED_SLICE", [x, *bounds], [none])
    lengths, axis = b.constant("lengths", [6, 0], "int32"), b.constant("axis", 1, "int32")
    parts = [b.tensor(f"part{i}", None, "int8", **IN) for i in range(2)]
    b.operator("SPLIT_V", [x, lengths, axis], parts, num_splits=2)
    y = b.tensor("y", None, "int8", **IN)
    b.operator("CONCATENATION", [none, *parts], [y], axis=1)
    return [y]


@case("maximum")
def _(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
    x = b.input("x", SHAPE, "int8", **IN)
    z = b.input("z", (1, 1, 1, 4), "int8", **IN)
    y = b.tensor("y", None, "int8", **IN)
    b.operator("MAXIMUM", [x, z], [y])
    return [y]


def dense(shape: tuple[int, ...], depth: int, keep: bool, bias: bool) -> Case:
    def build(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
        x = b.input("x", shape, "int8", **IN)
        w = b.constant("w", rng.integers(-127, 128, (6, depth), "int8"), scale=0.004)
        operands: list[int | None] = [x, w]
        values = rng.integers(-999, 999, 6, "int32")
        operands.append(b.constant("b", values, scale=0.004 * IN["scale"]) if bias else None)
        y = b.tensor("y", None, "int8", **OUT)
        b.operator(
            "FULLY_CONNECTED",
            operands,
            [y],
            keep_num_dims=keep,
            fused_activation_function="RELU",
        )
        return [y]

    return build


CASES["dense"] = dense((2, 12), 12, False, True)
CASES["dense_no_bias"] = dense((2, 12), 12, False, False)
CASES["dense_flattens"] = dense((1, 2, 3, 4), 24, False, True)
CASES["dense_pointwise"] = dense((1, 2, 3, 4), 4, False, True)
CASES["dense_keep_num_dims"] = dense((1, 5, 4), 4, True, True)


@case("batch_to_space")
def _(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
    x = b.input("x", (12, 3, 4, 2), "int8", **IN)
    blocks = b.constant("blocks", [3, 2], "int32")
    crops = b.constant("crops", [[1, 2], [0, 3]], "int32")
    y = b.tensor("y", None, "int8", **IN)
    b.operator("BATCH_TO_SPACE_ND", [x, blocks, crops], [y])
    return [y]


@case("concatenation")
def _(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
    x = b.input("x", SHAPE, "int8", **OUT)
    z = b.input("z", (1, 6, 8, 2), "int8", **OUT)
    c = b.constant("c", rng.integers(-128, 128, (1, 6, 8, 1), "int8"), **OUT)
    y = b.tensor("y", None, "int8", **OUT)
    b.operator("CONCATENATION", [x, z, c], [y], axis=-1)
    return [y]


@case("padv2")
def _(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
    x = b.input("x", SHAPE, "int8", **IN)
    amounts = b.constant("p", [[0, 0], [1, 2], [0, 1], [0, 0]], "int32")
    value = b.constant("v", [-100], "int8", **IN)
    y = b.tensor("y", None, "int8", **IN)
    b.operator("PADV2", [x, amounts, value], [y])
    return [y]


@case("gather_nd")
def _(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
    x = b.input("x", (3, 4, 2), "int8", **IN)
    indices = b.constant("i", [[[0, 1], [2, 3]], [[1, 0], [2, 0]]], "int32")
    y = b.tensor("y", None, "int8", **IN)
    b.operator("GATHER_ND", [x, indices], [y])
    return [y]


@case("space_to_batch_computed_paddings")
def _(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
    """By operators that no table of the importer's has: SELECT, and a comparison in front."""
    x = b.input("x", SHAPE, "int8", **IN)
    blocks = b.constant("blocks", [3, 2], "int32")
    some, other = (b.constant(n, v, "int32") for n, v in (("p", [[1, 9], [2, 0]]), ("q", 2)))
    where = b.tensor("where", (2, 2), "bool")
    b.operator("GREATER", [some, other], [where])
    full = b.constant("full", [[2, 2], [2, 2]], "int32")
    paddings = b.tensor("paddings", (2, 2), "int32")
    b.operator("SELECT", [where, full, some], [paddings])
    y = b.tensor("y", (6, 3, 5, 4), "int8", **IN)
    b.operator("SPACE_TO_BATCH_ND", [x, blocks, paddings], [y])
    return [y]


@case("empty_quantization")
def _(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
    x = b.input("x", SHAPE, "int8", **IN)
    shape = b.constant("shape", [1, 48, 4], "int32", scale=[])
    y = b.tensor("y", None, "int8", **IN)
    b.operator("RESHAPE", [x, shape], [y])
    z = b.tensor("z", None, "float32", scale=[])
    b.operator("DEQUANTIZE", [y], [z])
    return [z]


@case("layer_normalization")
def _(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
    """As Keras' LayerNormalization is converted."""

    def step(code: str, operands: list[int], scale: float, zero_point: int = 0, **options) -> int:
        name = f"{code} {len(b._tensors)}"
        out = b.tensor(name, None, "int8", scale=scale, zero_point=zero_point)
        b.operator(code, operands, [out], **options)
        return out

    x = b.input("x", SHAPE, "int8", **IN)
    axis = b.constant("axis", [3], "int32")
    epsilon = b.constant("epsilon", np.array([1], "int8"), scale=0.001)
    gamma = b.constant("gamma", rng.integers(50, 127, 4, "int8"), scale=0.01)
    beta = b.constant("beta", rng.integers(-100, 100, 4, "int8"), scale=0.005)
    mean = step("MEAN", [x, axis], 0.02, 1, keep_dims=True)
    square = step("SQUARED_DIFFERENCE", [x, mean], 0.2, -128)
    variance = step("MEAN", [square, axis], 0.1, -128, keep_dims=True)
    inverse = step("RSQRT", [step("ADD", [variance, epsilon], 0.1, -128)], 0.01, -128)
    factor = step("MUL", [inverse, gamma], 0.01, -128)
    offset = step("SUB", [beta, step("MUL", [mean, factor], 0.02)], 0.03, 2)
    return [step("ADD", [step("MUL", [x, factor], 0.04), offset], 0.04)]


@case("weights_of_other_types")
def _(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
    """Which DEQUANTIZE makes float32: the table is constant, and nothing is computed with it."""
    half = b.constant("half", rng.standard_normal((3, 4)).astype("float16"))
    table = b.constant("table", rng.integers(-128, 128, (3, 4), "int8"), scale=[0.1, 0.2, 0.7])
    x = b.input("x", (2, 4), "float32")
    parts = [b.tensor(name, (3, 4), "float32") for name in ("a", "b")]
    for source, part in zip((half, table), parts):
        b.operator("DEQUANTIZE", [source], [part])
    y = b.tensor("y", None, "float32")
    b.operator("CONCATENATION", [x, *parts], [y], axis=0)
    return [y]


@case("prelu")
def _(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
    x = b.input("x", SHAPE, "int8", **IN)
    alpha = b.constant("a", rng.integers(-128, 128, (1, 1, 4), "int8"), scale=0.003, zero_point=-20)
    y = b.tensor("y", None, "int8", **OUT)
    b.operator("PRELU", [x, alpha], [y])
    return [y]


@case("split")
def _(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
    axis = b.constant("axis", 3, "int32")
    x = b.input("x", SHAPE, "int8", **IN)
    parts = [b.tensor(f"y{i}", None, "int8", **IN) for i in range(2)]
    b.operator("SPLIT", [axis, x], parts, num_splits=2)
    return parts


@case("split_one")
def _(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
    axis = b.constant("axis", 3, "int32")
    x = b.input("x", SHAPE, "int8", **IN)
    part = b.tensor("part", None, "int8", **IN)
    y = b.tensor("y", None, "int8", **OUT)
    b.operator("SPLIT", [axis, x], [part], num_splits=1)
    b.operator("QUANTIZE", [part], [y])
    return [y]


@case("split_v")
def _(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
    x = b.input("x", SHAPE, "int8", **IN)
    sizes = b.constant("sizes", [1, 5], "int32")
    axis = b.constant("axis", 1, "int32")
    parts = [b.tensor(f"y{i}", None, "int8", **IN) for i in range(2)]
    b.operator("SPLIT_V", [x, sizes, axis], parts, num_splits=2)
    return parts


@case("pack")
def _(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
    x = b.input("x", (3, 4), "int8", **IN)
    z = b.input("z", (3, 4), "int8", **IN)
    y = b.tensor("y", None, "int8", **IN)
    b.operator("PACK", [x, z], [y], values_count=2, axis=1)
    return [y]


@case("unpack")
def _(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
    x = b.input("x", (2, 3, 4), "int8", **IN)
    parts = [b.tensor(f"y{i}", None, "int8", **IN) for i in range(3)]
    b.operator("UNPACK", [x], parts, num=3, axis=1)
    return parts


@case("quantize_float")
def _(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
    x = b.input("x", SHAPE, "float32")
    y = b.tensor("y", None, "int8", **OUT)
    b.operator("QUANTIZE", [x], [y])
    return [y]


@case("quantize_uint8_to_int8")
def _(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
    x = b.input("x", SHAPE, "uint8", scale=0.05, zero_point=125)
    y = b.tensor("y", None, "int8", **IN)
    b.operator("QUANTIZE", [x], [y])
    return [y]


@case("dequantize")
def _(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
    x = b.input("x", SHAPE, "int8", **IN)
    y = b.tensor("y", None, "float32")
    b.operator("DEQUANTIZE", [x], [y])
    return [y]


@case("arg_max")
def _(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
    x = b.input("x", (3, 4), "int8", **IN)
    axis = b.constant("axis", 1, "int32")
    y = b.tensor("y", None, "int32")
    b.operator("ARG_MAX", [x, axis], [y], output_type=2)
    return [y]


@case("flatten_of_open_batch")
def _(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
    """SHAPE -> STRIDED_SLICE -> PACK -> RESHAPE, as Keras models with an open batch have it."""
    x = b.input("x", SHAPE, "int8", shape_signature=(-1, *SHAPE[1:]), **IN)
    shape = b.tensor("shape", None, "int32")
    b.operator("SHAPE", [x], [shape], out_type=2)
    bounds = [b.constant(n, [v], "int32") for n, v in (("b", 0), ("e", 1), ("s", 1))]
    batch = b.tensor("batch", None, "int32")
    b.operator("STRIDED_SLICE", [shape, *bounds], [batch], shrink_axis_mask=1)
    rest = b.constant("rest", 192, "int32")
    packed = b.tensor("packed", None, "int32")
    b.operator("PACK", [batch, rest], [packed], values_count=2)
    y = b.tensor("y", (1, 192), "int8", **IN)
    b.operator("RESHAPE", [x, packed], [y])
    return [y]


def reduced_along(code: str, *axes: int) -> Case:
    def build(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
        x = b.input("x", SHAPE, "int8", **IN)
        y = b.tensor("y", None, "int8", **IN)
        b.operator(code, [x, b.constant("axes", np.array(axes, "int32"))], [y])
        return [y]

    return build


CASES["mean_of_an_axis_twice"] = reduced_along("MEAN", 1, -3, 2)
CASES["maximum_of_an_axis_twice"] = reduced_along("REDUCE_MAX", -1, -1)
CASES["maximum_of_no_axis"] = reduced_along("REDUCE_MAX")


def with_a_scale_of_zero(code: str, weight_shape: tuple[int, ...], axis: int) -> Case:
    """As a channel has whose weights were all 0 when it was converted."""

    def build(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
        scales = np.array([0.003, 0, 0.002, 0.001], "float32")
        x = b.input("x", SHAPE, "int8", **IN)
        w = b.constant("w", rng.integers(-127, 128, weight_shape, "int8"), scale=scales, axis=axis)
        bias = rng.integers(-999, 999, 4, "int32")
        c = b.constant("b", bias, scale=scales * np.float32(IN["scale"]))
        y = b.tensor("y", None, "int8", **OUT)
        b.operator(code, [x, w, c], [y], padding="SAME")
        return [y]

    return build


CASES["conv_scale_of_zero"] = with_a_scale_of_zero("CONV_2D", (4, 3, 3, 4), 0)
CASES["depthwise_scale_of_zero"] = with_a_scale_of_zero("DEPTHWISE_CONV_2D", (1, 3, 3, 4), 3)


@case("one_name_for_all")
def _(b: TFLiteBuilder, rng: np.random.Generator) -> list[int]:
    """Names carry no meaning in TFLite: stripped files repeat them."""
    x = b.input("x", SHAPE, "int8", **IN)
    first = b.tensor("", None, "int8", **OUT)
    second = b.tensor("", None, "int8", **IN)
    y = b.tensor("x", None, "int8", **OUT)
    b.operator("LEAKY_RELU", [x], [first], alpha=0.5)
    b.operator("ADD", [first, x], [second])
    b.operator("ADD", [second, first], [y])
    return [y]


def drawn(cases: dict[str, Case], count: int) -> dict[str, tuple[Case, list[int]]]:
    """Each case with `count` seeds, by names that say which."""
    return {
        f"{name} {draw}": (build, [draw, *name.encode()])
        for name, build in cases.items()
        for draw in range(count)
    }


WITH_LITERT = {**drawn({**CASES, **TRANSPOSED}, 1), **drawn({**LITERT, **INT16_LITERT}, DRAWS)}
WITH_MICRO = drawn({**MICRO, **INT16_MICRO}, DRAWS)
MODELS = {**WITH_LITERT, **WITH_MICRO}


@functools.cache
def model(name: str) -> tuple[bytes, LoadedModel, dict[str, np.ndarray]]:
    build, seed = MODELS[name]
    rng = np.random.default_rng(seed)
    builder = TFLiteBuilder()
    content = builder.build(build(builder, rng))
    loaded = load_tflite(content, label=f"{name}.tflite", name=name)
    return content, loaded, {spec.name: values(spec, rng) for spec in loaded.inputs}


def values(spec: ModelPort, rng: np.random.Generator) -> np.ndarray:
    """Random numbers, all that the type has among them where there is room."""
    count = int(np.prod(spec.shape))
    if spec.dtype == "float32":
        return rng.uniform(-6, 6, spec.shape).astype("float32")
    info = np.iinfo(spec.dtype)
    drawn = rng.integers(info.min, info.max + 1, count)
    if count >= 256:
        drawn[:256] = np.linspace(info.min, info.max, 256).round()
    return rng.permutation(drawn).astype(spec.dtype).reshape(spec.shape)


@pytest.fixture(scope="module")
def library() -> CLibrary:
    programs = (whole_program(model(name)[1]) for name in MODELS)
    return library_of({f"model_{index}": program for index, program in enumerate(programs)})


def computed(library: CLibrary, name: str) -> list[np.ndarray]:
    outputs, _ = library.run(f"model_{list(MODELS).index(name)}", model(name)[2])
    return list(outputs.values())


@pytest.mark.parametrize("name", WITH_LITERT)
def test_operator_is_litert(library: CLibrary, name: str) -> None:
    content, loaded, inputs = model(name)
    assert loaded.module["main"].attrs["dero.rounding"] == "double"
    expected = run_litert_reference(content, inputs)
    for want, have, spec in zip(expected, computed(library, name), loaded.outputs, strict=True):
        assert have.dtype == want.dtype == spec.dtype
        assert have.shape == want.shape == spec.shape
        np.testing.assert_array_equal(have, want)


@pytest.mark.parametrize("name", [*CASES, *LITERT, *INT16_LITERT, *MICRO, *INT16_MICRO])
def test_the_cases_exercise_several_values(library: CLibrary, name: str) -> None:
    """Random scales leave one value now and then, but not every time."""
    found = [computed(library, n)[0].ravel() for n in MODELS if n.rsplit(" ", 1)[0] == name]
    assert len(np.unique(np.concatenate(found))) > 1


@pytest.mark.parametrize("name", WITH_MICRO)
def test_operator_is_tflite_micro(library: CLibrary, name: str) -> None:
    content, _, inputs = model(name)
    expected = run_tflite_micro(content, list(inputs.values()))
    for want, have in zip(expected, computed(library, name), strict=True):
        np.testing.assert_array_equal(have, want)
