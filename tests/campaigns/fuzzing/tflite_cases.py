"""TFLite files from seeds: small valid models, changed in their tables or their bytes."""

from __future__ import annotations

import contextlib
import functools
import random
from collections.abc import Callable
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tests.campaigns.fuzzing.hostile_values import FLOATS, NAMES, SIZES, damaged_bytes
from tests.tflite_builder import TFLiteBuilder


def _quantized() -> bytes:
    net = TFLiteBuilder()
    x = net.input("x", (1, 6, 6, 2), "int8", scale=0.5, zero_point=3)
    w = net.constant("w", np.ones((2, 3, 3, 2), "int8"), scale=[0.5, 0.25], axis=0)
    b = net.constant("b", np.zeros(2, "int32"), scale=[0.25, 0.125], axis=0)
    c = net.tensor("c", (1, 6, 6, 2), "int8", scale=0.5)
    net.operator("CONV_2D", [x, w, b], [c], padding="SAME", fused_activation_function="RELU")
    s = net.tensor("s", (1, 6, 6, 2), "int8", scale=1.0)
    net.operator("ADD", [c, x], [s])
    p = net.tensor("p", (1, 3, 3, 2), "int8", scale=1.0)
    net.operator(
        "AVERAGE_POOL_2D", [s], [p], stride_w=2, stride_h=2, filter_width=2, filter_height=2
    )
    shape = net.constant("shape", np.array([1, 18], "int32"))
    f = net.tensor("f", (1, 18), "int8", scale=1.0)
    net.operator("RESHAPE", [p, shape], [f], new_shape=[1, 18])
    d = net.constant("d", np.ones((3, 18), "int8"), scale=0.5)
    y = net.tensor("y", (1, 3), "int8", scale=2.0)
    net.operator("FULLY_CONNECTED", [f, d, None], [y])
    z = net.tensor("z", (1, 3), "int8", scale=1 / 256, zero_point=-128)
    net.operator("SOFTMAX", [y], [z])
    return net.build([z])


def _floating() -> bytes:
    net = TFLiteBuilder()
    x = net.input("x", (1, 4, 4, 2), "float32")
    w = net.constant("w", np.ones((1, 3, 3, 2), "float32"))
    b = net.constant("b", np.zeros(2, "float32"))
    c = net.tensor("c", (1, 4, 4, 2), "float32")
    net.operator("DEPTHWISE_CONV_2D", [x, w, b], [c], padding="SAME")
    pads = net.constant("pads", np.array([[0, 0], [1, 1], [1, 1], [0, 0]], "int32"))
    p = net.tensor("p", (1, 6, 6, 2), "float32")
    net.operator("PAD", [c, pads], [p])
    k = net.tensor("k", (1, 6, 6, 4), "float32")
    net.operator("CONCATENATION", [p, p], [k], axis=3)
    size = net.constant("size", np.array([12, 12], "int32"))
    r = net.tensor("r", (1, 12, 12, 4), "float32")
    net.operator("RESIZE_NEAREST_NEIGHBOR", [k, size], [r])
    axes = net.constant("axes", np.array([1, 2], "int32"))
    m = net.tensor("m", (1, 4), "float32")
    net.operator("MEAN", [r, axes], [m])
    a = net.tensor("a", (1, 4), "float32")
    net.operator("LOGISTIC", [m], [a])
    return net.build([a])


def _moves() -> bytes:
    net = TFLiteBuilder()
    x = net.input("x", (1, 4, 6), "float32", shape_signature=(-1, 4, 6))
    perm = net.constant("perm", np.array([0, 2, 1], "int32"))
    t = net.tensor("t", (1, 6, 4), "float32")
    net.operator("TRANSPOSE", [x, perm], [t])
    begin = net.constant("begin", np.array([0, 1, 0], "int32"))
    end = net.constant("end", np.array([1, 5, 4], "int32"))
    strides = net.constant("strides", np.array([1, 2, 1], "int32"))
    s = net.tensor("s", (1, 2, 4), "float32")
    net.operator("STRIDED_SLICE", [t, begin, end, strides], [s])
    axis = net.constant("axis", np.array(2, "int32"))
    a = net.tensor("a", (1, 2, 2), "float32")
    b = net.tensor("b", (1, 2, 2), "float32")
    net.operator("SPLIT", [axis, s], [a, b], num_splits=2)
    m = net.tensor("m", (1, 2, 2), "float32")
    net.operator("MUL", [a, b], [m])
    shape = net.tensor("shape", (3,), "int32")
    net.operator("SHAPE", [m], [shape])
    y = net.tensor("y", (1, 2, 2), "float32")
    net.operator("RESHAPE", [m, shape], [y])
    return net.build([y])


def _integers() -> bytes:
    net = TFLiteBuilder()
    x = net.input("x", (1, 4, 4, 2), "int8", scale=0.5, zero_point=3)
    size = net.constant("size", np.array([3, 5], "int32"))
    r = net.tensor("r", (1, 3, 5, 2), "int8", scale=0.5, zero_point=3)
    net.operator("RESIZE_BILINEAR", [x, size], [r], half_pixel_centers=True)
    shape = net.constant("shape", np.array([1, 6, 10, 3], "int32"))
    w = net.constant("w", np.ones((3, 3, 2, 2), "int8"), scale=[0.5, 0.25, 0.1], axis=0)
    b = net.constant("b", np.zeros(3, "int32"), scale=[0.25, 0.125, 0.05], axis=0)
    t = net.tensor("t", (1, 6, 10, 3), "int8", scale=4.0)
    net.operator("TRANSPOSE_CONV", [shape, w, r, b], [t], padding="SAME", stride_w=2, stride_h=2)
    slopes = net.constant("slopes", np.array([[[3, -4, 5]]], "int8"), scale=0.1, zero_point=1)
    p = net.tensor("p", (1, 6, 10, 3), "int8", scale=4.0)
    net.operator("PRELU", [t, slopes], [p])
    d = net.tensor("d", (1, 6, 10, 3), "int8", scale=90.0, zero_point=-128)
    net.operator("SQUARED_DIFFERENCE", [p, t], [d])
    indices = net.constant("indices", np.array([[0, 5], [0, 0]], "int32"))
    g = net.tensor("g", (2, 10, 3), "int8", scale=90.0, zero_point=-128)
    net.operator("GATHER_ND", [d, indices], [g])
    return net.build([g])


@functools.cache
def tflite_seeds() -> list[bytes]:
    """Valid models that together use many operators."""
    return [_quantized(), _floating(), _moves(), _integers()]


def tflite_case(rng: random.Random) -> bytes:
    """A changed model's bytes."""
    data = rng.choice(tflite_seeds())
    if rng.random() < 0.45:
        return damaged_bytes(rng, data)
    model = schema.ModelT.InitFromPackedBuf(bytearray(data))
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        # What an earlier change has removed cannot be changed again.
        with contextlib.suppress(IndexError, TypeError, AttributeError):
            rng.choice(_CHANGES)(rng, model)
    try:
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
        data = bytes(builder.Output())
    except Exception:  # the format has no room for the value, so no file has it
        return damaged_bytes(rng, data)
    return damaged_bytes(rng, data) if rng.random() < 0.05 else data


def _tables(table: Any) -> list[Any]:
    found = [table]
    for value in vars(table).values():
        for child in value if isinstance(value, list) else [value]:
            if type(child).__module__ == schema.__name__:
                found += _tables(child)
    return found


def _change_field(rng: random.Random, model: Any) -> None:
    """One field of one table anywhere gets another value, or is removed."""
    table = rng.choice(_tables(model))
    name, value = rng.choice(sorted(vars(table).items(), key=lambda item: item[0]))
    if rng.random() < 0.15:
        setattr(table, name, type(value)() if isinstance(value, (int, float)) else None)
    elif isinstance(value, (list, np.ndarray)) and len(value):
        _change_vector(rng, value)
    else:
        setattr(table, name, _value(rng, value))


def _change_vector(rng: random.Random, values: Any) -> None:
    index = rng.randrange(len(values))
    if isinstance(values, np.ndarray):
        new = _value(rng, values[index].item())
        if values.dtype.kind in "iu":
            bits = 8 * values.dtype.itemsize
            new = (int(new) + (1 << (bits - 1))) % (1 << bits) - (1 << (bits - 1))
            values = values.view(f"i{values.dtype.itemsize}")  # of any sign
        values[index] = new
    elif rng.random() < 0.5:
        values.append(values[index])
    else:
        del values[index]


def _value(rng: random.Random, old: Any) -> Any:
    if isinstance(old, bool):
        return not old
    if isinstance(old, int):
        return rng.choice(SIZES) if rng.random() < 0.5 else rng.randrange(0, 40)
    if isinstance(old, float):
        return rng.choice(FLOATS)
    if isinstance(old, (bytes, str)):
        return rng.choice(NAMES)
    return old


def _rename(rng: random.Random, model: Any) -> None:
    rng.choice(model.subgraphs[0].tensors).name = rng.choice(NAMES)


def _rewire(rng: random.Random, model: Any) -> None:
    """An operand or result becomes another tensor: cycles, self-references, wrong types."""
    graph = model.subgraphs[0]
    operator = rng.choice(graph.operators)
    vector = operator.inputs if rng.random() < 0.7 else operator.outputs
    if vector is not None and len(vector):
        tensors = len(graph.tensors)
        vector[rng.randrange(len(vector))] = rng.choice([-1, tensors, rng.randrange(tensors)])


def _reorder(rng: random.Random, model: Any) -> None:
    rng.shuffle(model.subgraphs[0].operators)


def _resize(rng: random.Random, model: Any) -> None:
    tensors = [t for t in model.subgraphs[0].tensors if t.shape is not None and len(t.shape)]
    if tensors:
        shape = list(map(int, rng.choice(tensors).shape))
        tensor = rng.choice(tensors)
        shape[rng.randrange(len(shape))] = max(-(1 << 31), min(rng.choice(SIZES), (1 << 31) - 1))
        tensor.shape = np.array(shape, "int32")
        if rng.random() < 0.5:
            tensor.buffer = 0


def _retype(rng: random.Random, model: Any) -> None:
    rng.choice(model.subgraphs[0].tensors).type = rng.randrange(0, 20)


def _other_operator(rng: random.Random, model: Any) -> None:
    """An operator is replaced by another one, with operands and options it does not expect."""
    code = rng.choice(model.operatorCodes)
    code.builtinCode = rng.randrange(0, 210)
    code.deprecatedBuiltinCode = min(code.builtinCode, 127)


def _quantization(rng: random.Random, model: Any) -> None:
    quantized = [t.quantization for t in model.subgraphs[0].tensors if t.quantization is not None]
    if not quantized:
        return
    parameters = rng.choice(quantized)
    count = rng.choice([0, 1, 2, 3])
    parameters.scale = np.array([rng.choice([0.5, *FLOATS]) for _ in range(count)], "float32")
    zeros = [rng.choice([0, 1, -129, 1 << 31, -(1 << 63)]) for _ in range(rng.choice([count, 1]))]
    parameters.zeroPoint = np.array(zeros, "int64")
    parameters.quantizedDimension = rng.choice([0, 1, 3, 4, -1, 1 << 30])


def _ports(rng: random.Random, model: Any) -> None:
    graph = model.subgraphs[0]
    name = rng.choice(["inputs", "outputs"])
    count = rng.choice([0, 1, 2])
    numbers = [rng.randrange(len(graph.tensors)) for _ in range(count)]
    setattr(graph, name, np.array(numbers, "int32"))


_CHANGES: list[Callable[[random.Random, Any], None]] = [
    _change_field,
    _change_field,
    _change_field,
    _rename,
    _rewire,
    _reorder,
    _resize,
    _retype,
    _other_operator,
    _quantization,
    _ports,
]
