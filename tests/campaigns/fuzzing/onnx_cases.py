"""ONNX files from seeds: small valid models, changed in their messages or their bytes."""

from __future__ import annotations

import contextlib
import functools
import random
from collections.abc import Callable

import numpy as np
import onnx
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from onnx import TensorProto, helper, numpy_helper

from tests.campaigns.fuzzing.hostile_values import FLOATS, NAMES, SIZES, damaged_bytes
from tests.onnx_backend.cases import node_cases

_LARGEST_NODE_SEED = 1 << 14  # bytes
SECRET_PLACES = ["../secret.bin", "/proc/self/environ", "link.bin", "inside/../../secret.bin"]
"""Places that external data may not come from; the first, third and last are made by the worker."""

_INTEGERS = {
    FieldDescriptor.CPPTYPE_INT32: (-(1 << 31), (1 << 31) - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(1 << 63), (1 << 63) - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, (1 << 64) - 1),
    FieldDescriptor.CPPTYPE_ENUM: (-(1 << 31), (1 << 31) - 1),
}


def _model(nodes: list, inputs: dict, outputs: list[str], weights: dict) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "seed",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs.items()],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in outputs],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def _convolutions() -> onnx.ModelProto:
    node = helper.make_node
    nodes = [
        node("Conv", ["x", "w", "b"], ["c"], name="conv", pads=[1] * 4, strides=[1, 1]),
        node("BatchNormalization", ["c", "g", "b", "b", "g"], ["n"]),
        node("Clip", ["n", "low", "high"], ["r"]),
        node("Add", ["r", "x"], ["s"], name="join"),
        node("MaxPool", ["s"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        node("GlobalAveragePool", ["p"], ["m"]),
        node("Flatten", ["m"], ["f"], axis=1),
        node("Gemm", ["f", "d"], ["y"], transB=1),
    ]
    weights = {
        "w": np.ones((2, 2, 3, 3), "float32"),
        "b": np.zeros(2, "float32"),
        "g": np.ones(2, "float32"),
        "low": np.array(0, "float32"),
        "high": np.array(6, "float32"),
        "d": np.ones((3, 2), "float32"),
    }
    return _model(nodes, {"x": (1, 2, 6, 6)}, ["y"], weights)


def _quantized() -> onnx.ModelProto:
    node = helper.make_node
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        node("QLinearConv", ["q", "s", "z", "w", "s", "z", "s", "z", "b"], ["c"], pads=[1] * 4),
        node("DequantizeLinear", ["c", "s", "z"], ["d"]),
        node("Sigmoid", ["d"], ["y"]),
    ]
    weights = {
        "s": np.array(0.5, "float32"),
        "z": np.array(0, "int8"),
        "w": np.ones((2, 2, 3, 3), "int8"),
        "b": np.zeros(2, "int32"),
    }
    return _model(nodes, {"x": (1, 2, 4, 4)}, ["y"], weights)


def _shapes() -> onnx.ModelProto:
    node = helper.make_node
    nodes = [
        node("Shape", ["x"], ["sh"]),
        node("Gather", ["sh", "i"], ["n"], axis=0),
        node("Concat", ["n", "rest"], ["to"], axis=0),
        node("Reshape", ["x", "to"], ["r"]),
        node("Transpose", ["r"], ["t"], perm=[0, 2, 1]),
        node("Slice", ["t", "i", "two"], ["l"]),
        node("Pad", ["l", "pads"], ["p"]),
        node("Split", ["p"], ["a", "b"], axis=1),
        node("Concat", ["b", "a"], ["k"], axis=1),
        node("ReduceMean", ["k"], ["m"], axes=[1]),
        node("Softmax", ["m"], ["y"], axis=-1),
    ]
    weights = {
        "i": np.array([0], "int64"),
        "two": np.array([2], "int64"),
        "rest": np.array([4, -1], "int64"),
        "pads": np.array([0, 1, 0, 0, 1, 0], "int64"),
    }
    return _model(nodes, {"x": (1, 4, 3, 2)}, ["y"], weights)


def _resized() -> onnx.ModelProto:
    node = helper.make_node
    nodes = [
        node("Resize", ["x", "", "scales"], ["r"], mode="nearest"),
        node("ConvTranspose", ["r", "w"], ["c"], strides=[2, 2]),
        node("AveragePool", ["c"], ["p"], kernel_shape=[3, 3], ceil_mode=1),
        node("MatMul", ["p", "m"], ["y"]),
    ]
    weights = {
        "scales": np.array([1, 1, 2, 2], "float32"),
        "w": np.ones((2, 1, 2, 2), "float32"),
        "m": np.ones((6, 2), "float32"),
    }
    return _model(nodes, {"x": (1, 2, 2, 2)}, ["y"], weights)


@functools.cache
def onnx_seeds() -> list[onnx.ModelProto]:
    """Valid models that together use many operators."""
    return [_convolutions(), _quantized(), _shapes(), _resized()]


@functools.cache
def node_seeds() -> list[onnx.ModelProto]:
    """The node tests of the onnx package: all operators, mostly one each."""
    models = [case.model for case in node_cases().values()]
    return [model for model in models if model.ByteSize() <= _LARGEST_NODE_SEED]


def onnx_case(rng: random.Random) -> bytes:
    """A changed model's bytes."""
    model = onnx.ModelProto()
    model.CopyFrom(rng.choice(onnx_seeds() if rng.random() < 0.5 else node_seeds()))
    if rng.random() < 0.35:
        return damaged_bytes(rng, model.SerializeToString())
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        rng.choice(_CHANGES)(rng, model)
    data = model.SerializeToString()
    return damaged_bytes(rng, data) if rng.random() < 0.05 else data


def _messages(message: Message) -> list[Message]:
    found = [message]
    for field, value in message.ListFields():
        if field.cpp_type != FieldDescriptor.CPPTYPE_MESSAGE:
            continue
        for child in [value] if isinstance(value, Message) else value:
            found += _messages(child)
    return found


def _change_field(rng: random.Random, model: onnx.ModelProto) -> None:
    """One field of one message anywhere gets another value, or is removed or repeated."""
    message = rng.choice(_messages(model))
    fields = message.ListFields()
    if not fields:
        return
    field, value = rng.choice(fields)
    repeated = not isinstance(value, (Message, int, float, str, bytes))
    if rng.random() < 0.15:
        message.ClearField(field.name)
    elif repeated and len(value) and rng.random() < 0.4:
        if rng.random() < 0.5:
            del value[rng.randrange(len(value)) :]
        else:
            value.append(value[rng.randrange(len(value))])
    elif field.cpp_type != FieldDescriptor.CPPTYPE_MESSAGE:
        new = _value(rng, field)
        if new is None:
            return
        with contextlib.suppress(ValueError):  # not every number is one of an enumeration
            if not repeated:
                setattr(message, field.name, new)
            elif len(value):
                value[rng.randrange(len(value))] = new


def _value(rng: random.Random, field: FieldDescriptor) -> object:
    if field.cpp_type in _INTEGERS:
        low, high = _INTEGERS[field.cpp_type]
        number = rng.choice(SIZES) if rng.random() < 0.6 else rng.randrange(0, 24)
        return min(max(number, low), high)
    if field.cpp_type in (FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE):
        return rng.choice(FLOATS)
    if field.type == FieldDescriptor.TYPE_BYTES:  # which are of the C++ type of strings, too
        return rng.randbytes(rng.choice([0, 1, 4, 33]))
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return rng.choice(NAMES)
    return None


def _tensors_of(model: onnx.ModelProto) -> list[str]:
    graph = model.graph
    names = [t.name for t in graph.initializer] + [v.name for v in graph.input]
    return names + [name for node in graph.node for name in node.output]


def _rename(rng: random.Random, model: onnx.ModelProto) -> None:
    """A tensor is called something else wherever it is used: the model stays valid."""
    tensors = _tensors_of(model)
    if not tensors:
        return
    old, new = rng.choice(tensors), rng.choice(NAMES)
    for node in model.graph.node:
        for names in (node.input, node.output):
            for index, name in enumerate(names):
                if name == old:
                    names[index] = new
    for value in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        if value.name == old:
            value.name = new


def _rewire(rng: random.Random, model: onnx.ModelProto) -> None:
    """An operand becomes another tensor: cycles, self-references, wrong shapes and types."""
    nodes = [node for node in model.graph.node if node.input]
    if nodes:
        node = rng.choice(nodes)
        node.input[rng.randrange(len(node.input))] = rng.choice([*_tensors_of(model), "missing"])


def _reorder(rng: random.Random, model: onnx.ModelProto) -> None:
    nodes = list(model.graph.node)
    rng.shuffle(nodes)
    if rng.random() < 0.3 and nodes:
        nodes.append(nodes[0])
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _duplicate_name(rng: random.Random, model: onnx.ModelProto) -> None:
    nodes = [node for node in model.graph.node if node.output]
    if nodes:
        rng.choice(nodes).output[0] = rng.choice(_tensors_of(model))


def _resize(rng: random.Random, model: onnx.ModelProto) -> None:
    """A dimension of an input or of a weight; the weight's data stays or goes with it."""
    graph = model.graph
    shaped = [value.type.tensor_type.shape for value in graph.input]
    dims = [d for shape in shaped for d in shape.dim]
    tensors = [tensor for tensor in graph.initializer if tensor.dims]
    if tensors and rng.random() < 0.5:
        tensor = rng.choice(tensors)
        tensor.dims[rng.randrange(len(tensor.dims))] = rng.choice(SIZES)
        if rng.random() < 0.3:
            tensor.raw_data = b""
    elif dims:
        rng.choice(dims).dim_value = rng.choice(SIZES)


def _retype(rng: random.Random, model: onnx.ModelProto) -> None:
    tensors = list(model.graph.initializer)
    if tensors and rng.random() < 0.5:
        rng.choice(tensors).data_type = rng.randrange(0, 24)
    elif model.graph.input:
        rng.choice(model.graph.input).type.tensor_type.elem_type = rng.randrange(0, 24)


def _external(rng: random.Random, model: onnx.ModelProto) -> None:
    """A tensor is kept in another file: one of the graph, or one hidden elsewhere."""
    tensor = _hidden(rng, model)
    tensors = list(model.graph.initializer)
    if tensors and rng.random() < 0.5:
        tensor = rng.choice(tensors)
    size = len(tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    location = rng.choice([*SECRET_PLACES, "beside.bin", ".", "", "no\0thing", *NAMES])
    entries = {"location": location}
    if rng.random() < 0.7:
        entries["length"] = str(rng.choice([size, *SIZES, "many"]))
    if rng.random() < 0.5:
        entries["offset"] = str(rng.choice([0, 1, *SIZES, "%s"]))
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)


def _hidden(rng: random.Random, model: onnx.ModelProto) -> TensorProto:
    """A new tensor of float32 somewhere in the file, and a node that reads it if it can."""
    tensor = TensorProto(name="hidden", data_type=TensorProto.FLOAT, dims=[4], raw_data=bytes(16))
    places = numpy_helper.from_array(np.arange(4), "places")
    sparse = onnx.SparseTensorProto(values=tensor, indices=places, dims=[rng.choice([9, *SIZES])])
    constant = helper.make_node("Constant", [], ["hidden"])
    kind = onnx.AttributeProto.AttributeType
    match rng.randrange(4):
        case 0:
            model.graph.sparse_initializer.append(sparse)
            return model.graph.sparse_initializer[-1].values
        case 1:
            constant.attribute.add(name="value", t=tensor, type=kind.TENSOR)
            model.graph.node.insert(0, constant)
            return model.graph.node[0].attribute[0].t
        case 2:
            constant.attribute.add(
                name="sparse_value", sparse_tensor=sparse, type=kind.SPARSE_TENSOR
            )
            model.graph.node.insert(0, constant)
            return model.graph.node[0].attribute[0].sparse_tensor.values
    constant.attribute.add(name="value", t=tensor, type=kind.TENSOR)
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("own", 1)]
    model.functions.append(helper.make_function("own", "f", [], ["hidden"], [constant], opsets))
    model.opset_import.add(domain="own", version=1)
    model.graph.node.insert(0, helper.make_node("f", [], ["hidden"], domain="own"))
    return model.functions[-1].node[0].attribute[0].t


def _added(model: onnx.ModelProto, nodes: list, constants: dict[str, np.ndarray]) -> None:
    """The first output becomes the sum of what it was and of ``bomb``, which `nodes` compute."""
    graph = model.graph
    for name, value in constants.items():
        graph.initializer.append(numpy_helper.from_array(value, name))
    graph.node.extend(nodes)
    if graph.output:
        name = graph.output[0].name
        graph.node.append(helper.make_node("Add", [name, "bomb"], ["bombed"]))
        graph.output[0].name = "bombed"


def _huge_constant(rng: random.Random, model: onnx.ModelProto) -> None:
    """A constant that is computed from a few bytes, and reduced to one element."""
    node = helper.make_node
    size = np.array([rng.choice([100, 3000, 26_000, 60_000])] * 2, "int64")
    one = np.ones((1, 1), rng.choice(["float32", "int64"]))
    makers = {
        "ConstantOfShape": [node("ConstantOfShape", ["size"], ["huge"])],
        "Expand": [node("Expand", ["one", "size"], ["huge"])],
        "Tile": [node("Tile", ["one", "size"], ["huge"])],
        "Pad": [node("Pad", ["one", "pads"], ["huge"])],
        "Range": [node("Range", ["from", "to", "by"], ["huge"])],
        "Outer": [
            node("Expand", ["one", "column"], ["a"]),
            node("Transpose", ["a"], ["b"], perm=[1, 0]),
            node(rng.choice(["Add", "MatMul", "Mul"]), ["a", "b"], ["huge"]),
        ],
        "Pool": [
            node("ConstantOfShape", ["image"], ["a"]),
            node("MaxPool", ["a"], ["huge"], kernel_shape=[size[0] // 2] * 2),
        ],
    }
    chain = [node("Neg", [f"h{i}"], [f"h{i + 1}"]) for i in range(rng.choice([0, 1, 200]))]
    if chain:
        chain[0].input[0] = "huge"
    last = chain[-1].output[0] if chain else "huge"
    ends = [
        node("Cast", [last], ["floats"], to=TensorProto.FLOAT),
        node("ReduceMax", ["floats"], ["bomb"], keepdims=0),
    ]
    constants = {
        "size": size,
        "one": one,
        "pads": np.array([0, 0, *size]),
        "column": np.array([size[0], 1]),
        "image": np.array([1, 1, *size]),
        "from": np.array(0),
        "to": np.array(int(size[0]) ** 2),
        "by": np.array(1),
    }
    _added(model, [*rng.choice(list(makers.values())), *chain, *ends], constants)


def _join_of_many(rng: random.Random, model: onnx.ModelProto) -> None:
    tensors = _tensors_of(model)
    if not tensors:
        return
    operands = [rng.choice(tensors)] * rng.choice([2, 20, 150, 5000])
    operator = rng.choice(["Concat", "Max", "Mean", "Min", "Sum"])
    attributes = {"axis": 0} if operator == "Concat" else {}
    _added(model, [helper.make_node(operator, operands, ["bomb"], **attributes)], {})


def _circle(rng: random.Random, model: onnx.ModelProto) -> None:
    """A node reads what is computed from its own result."""
    nodes = [node for node in model.graph.node if node.input and node.output]
    if nodes:
        first, last = sorted(rng.choices(range(len(nodes)), k=2))
        nodes[first].input[rng.randrange(len(nodes[first].input))] = nodes[last].output[0]


def _other_operator(rng: random.Random, model: onnx.ModelProto) -> None:
    """An operator is replaced by another one, which gets operands that it does not expect."""
    if model.graph.node:
        rng.choice(model.graph.node).op_type = rng.choice(_OPERATORS)


def _subgraph(rng: random.Random, model: onnx.ModelProto) -> None:
    """A nest of graphs in graphs, up to the 100 levels of messages that protobuf itself takes."""
    graph = onnx.GraphProto(name="inner")
    for _ in range(rng.choice([1, 10, 28])):
        outer = onnx.GraphProto(name="outer")
        outer.node.append(helper.make_node("If", ["c"], ["y"], then_branch=graph))
        graph = outer
    if model.graph.node:
        rng.choice(model.graph.node).attribute.append(helper.make_attribute("then_branch", graph))


def _function(rng: random.Random, model: onnx.ModelProto) -> None:
    """A local function that calls itself, or another that calls it, or others many times."""
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("own", 1)]
    if rng.random() < 0.3:
        _many_calls(rng, model, opsets)
        return
    called = rng.choice(["f", "g"])
    for name, inner in (("f", called), ("g", "f")):
        body = [helper.make_node(inner, ["a"], ["b"], domain="own")]
        model.functions.append(helper.make_function("own", name, ["a"], ["b"], body, opsets))
    model.opset_import.add(domain="own", version=1)
    if model.graph.node:
        node = rng.choice(model.graph.node)
        node.op_type, node.domain = "f", "own"


def _many_calls(rng: random.Random, model: onnx.ModelProto, opsets: list) -> None:
    """Functions of which each calls the one before ten times."""
    node = helper.make_node
    body = [node("Relu", ["a"], ["b"])]
    levels = rng.choice([1, 2, 6, 10])
    for level in range(levels):
        model.functions.append(helper.make_function("own", f"f{level}", ["a"], ["b"], body, opsets))
        names = ["a", *(f"t{i}" for i in range(9)), "b"]
        body = [node(f"f{level}", [x], [y], domain="own") for x, y in zip(names, names[1:])]
    model.opset_import.add(domain="own", version=1)
    tensors = _tensors_of(model)
    if tensors:
        call = node(f"f{levels - 1}", [rng.choice(tensors)], ["bomb"], domain="own")
        _added(model, [call], {})


_OPERATORS = sorted({schema.name for schema in onnx.defs.get_all_schemas() if not schema.domain})

_CHANGES: list[Callable[[random.Random, onnx.ModelProto], None]] = [
    _change_field,
    _change_field,
    _change_field,
    _rename,
    _rewire,
    _reorder,
    _duplicate_name,
    _resize,
    _resize,
    _retype,
    _external,
    _huge_constant,
    _join_of_many,
    _circle,
    _other_operator,
    _subgraph,
    _function,
]
