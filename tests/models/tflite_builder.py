"""Small TFLite models for tests, built operator by operator, and LiteRT's answer to them.

    builder = TFLiteBuilder()
    data = builder.input("data", (1, 8, 8, 3), "int8", scale=0.05, zero_point=-3)
    weight = builder.constant("weight", array_ohwi, scale=[0.01] * 4, axis=0)
    bias = builder.constant("bias", array_int32, scale=[0.0005] * 4, axis=0)
    out = builder.tensor("out", None, "int8", scale=0.1, zero_point=4)
    builder.operator("CONV_2D", [data, weight, bias], [out], padding="SAME",
                     fused_activation_function="RELU")
    model = builder.build(outputs=[out])
    (expected,) = run_litert_reference(model, {"data": values})

Options are the fields of the schema's option table in snake case (`stride_w`, `keep_dims`, ...);
enumerations are given by name, texts as bytes, vectors as sequences.  A shape of None is filled in
with what LiteRT infers.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from tflite.ActivationFunctionType import ActivationFunctionType
from tflite.BuiltinOperator import BuiltinOperator
from tflite.BuiltinOptions import BuiltinOptions
from tflite.BuiltinOptions2 import BuiltinOptions2
from tflite.MirrorPadMode import MirrorPadMode
from tflite.Padding import Padding
from tflite.TensorType import TensorType

_TYPES = {
    "float32": TensorType.FLOAT32,
    "float16": TensorType.FLOAT16,
    "int8": TensorType.INT8,
    "uint8": TensorType.UINT8,
    "int16": TensorType.INT16,
    "int32": TensorType.INT32,
    "int64": TensorType.INT64,
    "bool": TensorType.BOOL,
    "resource": TensorType.RESOURCE,
}

_ENUMERATIONS: dict[str, type] = {
    "padding": Padding,
    "fused_activation_function": ActivationFunctionType,
    "mode": MirrorPadMode,
    "in_data_type": TensorType,
    "out_data_type": TensorType,
}

# Operators whose option table is not simply "<CamelCaseName>Options".
_OPTION_TABLES: dict[str, str] = {
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "L2_POOL_2D": "Pool2DOptions",
    "MEAN": "ReducerOptions",
    "SUM": "ReducerOptions",
    "REDUCE_MAX": "ReducerOptions",
    "REDUCE_MIN": "ReducerOptions",
    "REDUCE_PROD": "ReducerOptions",
    "MAXIMUM": "MaximumMinimumOptions",
    "MINIMUM": "MaximumMinimumOptions",
    "PADV2": "PadV2Options",
    "SPLIT_V": "SplitVOptions",
    "REVERSE_V2": "ReverseV2Options",
    "TRANSPOSE_CONV": "TransposeConvOptions",
    "BATCH_MATMUL": "BatchMatMulOptions",
    "L2_NORMALIZATION": "L2NormOptions",
    "BATCH_TO_SPACE_ND": "BatchToSpaceNDOptions",
    "SPACE_TO_BATCH_ND": "SpaceToBatchNDOptions",
    "TOPK_V2": "TopKV2Options",
    "SVDF": "SVDFOptions",
    "STABLEHLO_COMPOSITE": "StableHLOCompositeOptions",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "UnidirectionalSequenceLSTMOptions",
}

# Values that a field takes when the test does not name it: the schema's own are often unusable.
_DEFAULTS: dict[str, dict[str, Any]] = {
    "Conv2DOptions": {"padding": "VALID", "stride_w": 1, "stride_h": 1},
    "DepthwiseConv2DOptions": {
        "padding": "VALID",
        "stride_w": 1,
        "stride_h": 1,
        "depth_multiplier": 1,
    },
    "Pool2DOptions": {"padding": "VALID", "stride_w": 1, "stride_h": 1},
    "SoftmaxOptions": {"beta": 1.0},
    "TransposeConvOptions": {"padding": "VALID", "stride_w": 1, "stride_h": 1},
}


@dataclass
class _Tensor:
    name: str
    shape: tuple[int, ...] | None
    dtype: str
    data: np.ndarray | None = None
    scale: tuple[float, ...] = ()
    zero_point: tuple[int, ...] = ()
    axis: int = 0
    shape_signature: tuple[int, ...] | None = None
    is_variable: bool = False
    quantized: bool = False


@dataclass
class _Operator:
    code: str
    inputs: list[int]
    outputs: list[int]
    options: dict[str, Any]
    version: int
    custom_code: str | None = None


@dataclass
class TFLiteBuilder:
    """Collects the tensors and operators of one subgraph; tensors are named by their index."""

    description: str = "built by a test"
    results: Sequence[int] = ()  # of a graph that stands beside the first
    empty_buffer: bool = False  # for the tensors that are computed, in place of none
    _tensors: list[_Tensor] = field(default_factory=list)
    _operators: list[_Operator] = field(default_factory=list)
    _inputs: list[int] = field(default_factory=list)

    def tensor(
        self,
        name: str,
        shape: Sequence[int] | None,
        dtype: str = "float32",
        *,
        scale: float | Sequence[float] | None = None,
        zero_point: int | Sequence[int] | None = None,
        axis: int = 0,
        shape_signature: Sequence[int] | None = None,
        is_variable: bool = False,
    ) -> int:
        """A tensor that an operator computes; `shape` None leaves its shape to LiteRT.

        No scales at all (`[]`) make an empty table of quantization.
        """
        scales = () if scale is None else tuple(np.atleast_1d(np.asarray(scale, "float64")))
        if zero_point is None:
            zeros: tuple[int, ...] = (0,) * len(scales)
        else:
            zeros = tuple(int(zero) for zero in np.atleast_1d(np.asarray(zero_point)))
        self._tensors.append(
            _Tensor(
                name,
                None if shape is None else tuple(shape),
                dtype,
                None,
                scales,
                zeros,
                axis,
                None if shape_signature is None else tuple(shape_signature),
                is_variable,
                scale is not None,
            )
        )
        return len(self._tensors) - 1

    def input(self, name: str, shape: Sequence[int], dtype: str = "float32", **kwargs: Any) -> int:
        """A tensor that the caller of the model gives; keywords as in :meth:`tensor`."""
        index = self.tensor(name, shape, dtype, **kwargs)
        self._inputs.append(index)
        return index

    def constant(self, name: str, data: Any, dtype: str | None = None, **kwargs: Any) -> int:
        """A tensor with its values in the file; keywords as in :meth:`tensor`."""
        array = np.ascontiguousarray(np.asarray(data, dtype))
        index = self.tensor(name, np.asarray(data).shape, array.dtype.name, **kwargs)
        self._tensors[index].data = array
        return index

    def operator(
        self,
        code: str,
        inputs: Sequence[int | None],
        outputs: Sequence[int],
        *,
        version: int = 1,
        custom_code: str | None = None,
        **options: Any,
    ) -> None:
        """Append the operator `code` (its name in the schema); None is an omitted input."""
        indices = [-1 if index is None else index for index in inputs]
        self._operators.append(
            _Operator(code, indices, list(outputs), options, version, custom_code)
        )

    def build(
        self,
        outputs: Sequence[int],
        *,
        subgraphs: int = 1,
        others: Sequence[TFLiteBuilder] = (),
        signatures: Sequence[str] = (),
    ) -> bytes:
        """The flatbuffer; `subgraphs` > 1 repeats the graph, which makes a refusable model.

        `others` are further graphs, such as those of CALL_ONCE and of composites; `signatures`
        the keys of the graphs, one each.
        """
        unknown = [index for index, tensor in enumerate(self._tensors) if tensor.shape is None]
        if unknown:
            for index in unknown:
                self._tensors[index].shape = ()
            interpreter = _interpreter(self._serialize(outputs, 1, others))
            details = {item["index"]: item for item in interpreter.get_tensor_details()}
            for index in unknown:
                self._tensors[index].shape = tuple(int(n) for n in details[index]["shape"])
        return self._serialize(outputs, subgraphs, others, signatures)

    def _serialize(
        self,
        outputs: Sequence[int],
        subgraphs: int,
        others: Sequence[TFLiteBuilder],
        signatures: Sequence[str] = (),
    ) -> bytes:
        fb = flatbuffers.Builder(1024)
        model = importlib.import_module("tflite.Model")
        codes: list[tuple[str, int, str | None]] = []
        for op in (op for builder in (self, *others) for op in builder._operators):
            if (op.code, op.version, op.custom_code) not in codes:
                codes.append((op.code, op.version, op.custom_code))

        # Buffer 0 is the empty one that every tensor without data refers to.
        buffers = [_buffer(fb, np.zeros(0, "uint8") if self.empty_buffer else None)]
        graphs = [self._graph(fb, "main", outputs, codes, buffers)] * subgraphs
        graphs += [
            builder._graph(fb, "other", builder.results, codes, buffers) for builder in others
        ]
        operator_codes = [_operator_code(fb, *code) for code in codes]
        subgraph_vector = _offsets(fb, graphs)
        code_vector = _offsets(fb, operator_codes)
        buffer_vector = _offsets(fb, buffers)
        description = fb.CreateString(self.description)
        ports = [(self, outputs), *((builder, builder.results) for builder in others)]
        signature_vector = _offsets(
            fb,
            [
                _signature(fb, key, number, *builder._ports(results))
                for number, (key, (builder, results)) in enumerate(zip(signatures, ports))
            ],
        )
        model.ModelStart(fb)
        model.ModelAddVersion(fb, 3)
        model.ModelAddOperatorCodes(fb, code_vector)
        model.ModelAddSubgraphs(fb, subgraph_vector)
        model.ModelAddDescription(fb, description)
        model.ModelAddBuffers(fb, buffer_vector)
        if signatures:
            model.ModelAddSignatureDefs(fb, signature_vector)
        fb.Finish(model.ModelEnd(fb), file_identifier=b"TFL3")
        return bytes(fb.Output())

    def _ports(self, outputs: Sequence[int]) -> list[dict[str, int]]:
        """Its inputs, and what it gives, by name."""
        return [
            {self._tensors[index].name: index for index in ports}
            for ports in (self._inputs, outputs)
        ]

    def _graph(
        self,
        fb: flatbuffers.Builder,
        name: str,
        outputs: Sequence[int],
        codes: list[tuple[str, int, str | None]],
        buffers: list[int],
    ) -> int:
        """One subgraph, whose constants are added to `buffers`."""
        graph = importlib.import_module("tflite.SubGraph")
        tensors = []
        for tensor in self._tensors:
            number = 0
            if tensor.data is not None:
                number = len(buffers)
                buffers.append(_buffer(fb, tensor.data))
            tensors.append(_tensor(fb, tensor, number))
        operators = [
            _operator(fb, op, codes.index((op.code, op.version, op.custom_code)))
            for op in self._operators
        ]
        tensor_vector = _offsets(fb, tensors)
        operator_vector = _offsets(fb, operators)
        input_vector = fb.CreateNumpyVector(np.asarray(self._inputs, "int32"))
        output_vector = fb.CreateNumpyVector(np.asarray(outputs, "int32"))
        title = fb.CreateString(name)
        graph.SubGraphStart(fb)
        graph.SubGraphAddTensors(fb, tensor_vector)
        graph.SubGraphAddInputs(fb, input_vector)
        graph.SubGraphAddOutputs(fb, output_vector)
        graph.SubGraphAddOperators(fb, operator_vector)
        graph.SubGraphAddName(fb, title)
        return graph.SubGraphEnd(fb)


def _signature(
    fb: flatbuffers.Builder,
    key: str,
    graph: int,
    inputs: Mapping[str, int],
    outputs: Mapping[str, int],
) -> int:
    module = importlib.import_module("tflite.SignatureDef")
    ports = importlib.import_module("tflite.TensorMap")

    def listed(tensors: Mapping[str, int]) -> int:
        made = []
        for name, index in tensors.items():
            text = fb.CreateString(name)
            ports.TensorMapStart(fb)
            ports.TensorMapAddName(fb, text)
            ports.TensorMapAddTensorIndex(fb, index)
            made.append(ports.TensorMapEnd(fb))
        return _offsets(fb, made)

    vectors = listed(inputs), listed(outputs)
    text = fb.CreateString(key)
    module.SignatureDefStart(fb)
    module.SignatureDefAddInputs(fb, vectors[0])
    module.SignatureDefAddOutputs(fb, vectors[1])
    module.SignatureDefAddSignatureKey(fb, text)
    module.SignatureDefAddSubgraphIndex(fb, graph)
    return module.SignatureDefEnd(fb)


def run_litert_reference(model: bytes, inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """The outputs of LiteRT's reference kernels, in the model's order; inputs go by name."""
    interpreter = _interpreter(model)
    for detail in interpreter.get_input_details():
        interpreter.set_tensor(detail["index"], inputs[detail["name"]])
    interpreter.invoke()
    return [
        interpreter.get_tensor(detail["index"]).copy()
        for detail in interpreter.get_output_details()
    ]


def _interpreter(model: bytes) -> Interpreter:
    interpreter = Interpreter(
        model_content=model, experimental_op_resolver_type=OpResolverType.BUILTIN_REF
    )
    interpreter.allocate_tensors()
    return interpreter


def _buffer(fb: flatbuffers.Builder, data: np.ndarray | None) -> int:
    module = importlib.import_module("tflite.Buffer")
    vector = None
    if data is not None:
        raw = np.frombuffer(data.tobytes(), "uint8")
        # The schema asks for data aligned to 16 bytes.
        fb.StartVector(1, raw.size, 16)
        fb.head = fb.head - raw.size
        fb.Bytes[fb.head : fb.head + raw.size] = raw.tobytes()
        vector = fb.EndVector()
    module.BufferStart(fb)
    if vector is not None:
        module.BufferAddData(fb, vector)
    return module.BufferEnd(fb)


def _tensor(fb: flatbuffers.Builder, tensor: _Tensor, buffer: int) -> int:
    module = importlib.import_module("tflite.Tensor")
    quantization = None
    if tensor.quantized:
        parameters = importlib.import_module("tflite.QuantizationParameters")
        scale = fb.CreateNumpyVector(np.asarray(tensor.scale, "float32"))
        zeros = tensor.zero_point
        if len(zeros) == 1:
            zeros = zeros * len(tensor.scale)
        zero_point = fb.CreateNumpyVector(np.asarray(zeros, "int64"))
        parameters.QuantizationParametersStart(fb)
        parameters.QuantizationParametersAddScale(fb, scale)
        parameters.QuantizationParametersAddZeroPoint(fb, zero_point)
        parameters.QuantizationParametersAddQuantizedDimension(fb, tensor.axis)
        quantization = parameters.QuantizationParametersEnd(fb)
    name = fb.CreateString(tensor.name)
    shape = fb.CreateNumpyVector(np.asarray(tensor.shape, "int32"))
    signature = None
    if tensor.shape_signature is not None:
        signature = fb.CreateNumpyVector(np.asarray(tensor.shape_signature, "int32"))
    module.TensorStart(fb)
    module.TensorAddShape(fb, shape)
    module.TensorAddType(fb, _TYPES[tensor.dtype])
    module.TensorAddBuffer(fb, buffer)
    module.TensorAddName(fb, name)
    if quantization is not None:
        module.TensorAddQuantization(fb, quantization)
    if signature is not None:
        module.TensorAddShapeSignature(fb, signature)
    if tensor.is_variable:
        module.TensorAddIsVariable(fb, True)
    return module.TensorEnd(fb)


def _operator(fb: flatbuffers.Builder, op: _Operator, code_index: int) -> int:
    module = importlib.import_module("tflite.Operator")
    inputs = fb.CreateNumpyVector(np.asarray(op.inputs, "int32"))
    outputs = fb.CreateNumpyVector(np.asarray(op.outputs, "int32"))
    table = _OPTION_TABLES.get(op.code, _camel(op.code.lower()) + "Options")
    # RELU, LOGISTIC and others carry none, and late ones theirs in a second field.
    first, second = hasattr(BuiltinOptions, table), hasattr(BuiltinOptions2, table)
    options = _options(fb, table, op.options) if first or second else None
    module.OperatorStart(fb)
    module.OperatorAddOpcodeIndex(fb, code_index)
    module.OperatorAddInputs(fb, inputs)
    module.OperatorAddOutputs(fb, outputs)
    if first:
        module.OperatorAddBuiltinOptionsType(fb, getattr(BuiltinOptions, table))
        module.OperatorAddBuiltinOptions(fb, options)
    elif second:
        module.OperatorAddBuiltinOptions2Type(fb, getattr(BuiltinOptions2, table))
        module.OperatorAddBuiltinOptions2(fb, options)
    elif op.options:
        raise ValueError(f"{op.code} takes no options, got {sorted(op.options)}")
    return module.OperatorEnd(fb)


def _options(fb: flatbuffers.Builder, table: str, given: Mapping[str, Any]) -> int:
    module = importlib.import_module(f"tflite.{table}")
    values = {**_DEFAULTS.get(table, {}), **given}
    for key, value in values.items():
        if isinstance(value, str):
            values[key] = getattr(_ENUMERATIONS[key], value)
        elif isinstance(value, bytes):
            values[key] = fb.CreateString(value)
        elif isinstance(value, (list, tuple)):
            values[key] = fb.CreateNumpyVector(np.asarray(value, "int32"))
    getattr(module, f"{table}Start")(fb)
    for key, value in values.items():
        getattr(module, f"{table}Add{_camel(key)}")(fb, value)
    return getattr(module, f"{table}End")(fb)


def _operator_code(
    fb: flatbuffers.Builder, code: str, version: int, custom_code: str | None
) -> int:
    module = importlib.import_module("tflite.OperatorCode")
    number = getattr(BuiltinOperator, code)
    custom = None if custom_code is None else fb.CreateString(custom_code)
    module.OperatorCodeStart(fb)
    # Old readers know only the one-byte field, whose largest value means "see the other".
    module.OperatorCodeAddDeprecatedBuiltinCode(fb, min(number, 127))
    module.OperatorCodeAddBuiltinCode(fb, number)
    module.OperatorCodeAddVersion(fb, version)
    if custom is not None:
        module.OperatorCodeAddCustomCode(fb, custom)
    return module.OperatorCodeEnd(fb)


def _offsets(fb: flatbuffers.Builder, offsets: Sequence[int]) -> int:
    fb.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        fb.PrependUOffsetTRelative(offset)
    return fb.EndVector()


def _camel(snake: str) -> str:
    return "".join(part.capitalize() for part in snake.split("_"))
