"""A TFLite file as the schema's objects, checked before anything else reads it.

The schema's Python readers trust every offset and length in the file.  :func:`read_model` walks all
of them once, so that a damaged file is refused here and not somewhere inside an importer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import tflite

from dero_tvm.boundary.errors import UserError

from .foreign import refuse_accelerator
from .signatures import graph_to_compile

_ITEM_SIZES = {
    tflite.TensorType.FLOAT32: 4,
    tflite.TensorType.FLOAT16: 2,
    tflite.TensorType.INT8: 1,
    tflite.TensorType.UINT8: 1,
    tflite.TensorType.INT16: 2,
    tflite.TensorType.INT32: 4,
    tflite.TensorType.INT64: 8,
    tflite.TensorType.BOOL: 1,
}

_MOST_SPARSE = 1 << 25  # elements, which are made of however few bytes

_NEVER_QUANTIZED = (
    tflite.TensorType.FLOAT32,
    tflite.TensorType.FLOAT16,
    tflite.TensorType.BOOL,
)


class NamedTensor(tflite.Tensor):
    """A tensor whose name is unique in its graph, as TVM's importer needs and files do not say."""

    unique_name: str = ""
    expanded: np.ndarray | None = None  # its values in float32, in place of those in the file

    def Type(self) -> int:
        return super().Type() if self.expanded is None else tflite.TensorType.FLOAT32

    def Name(self) -> bytes:
        return self.unique_name.encode()

    def Quantization(self) -> tflite.QuantizationParameters | None:
        # Some converters write the table for every tensor, leave it empty, or fill it in for
        # tensors that are not quantized.
        parameters = None if self.Type() in _NEVER_QUANTIZED else super().Quantization()
        return parameters if parameters is not None and parameters.ScaleLength() else None


@dataclass(frozen=True)
class GraphPart:
    """Positions of operators, and indices of tensors: what is looked at of a graph."""

    operators: tuple[int, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    same: Mapping[int, int] = field(default_factory=dict)  # operands that stand for others


class PlacedOperator(tflite.Operator):
    """An operator of a graph within another, or whose operands stand for others."""

    tensors: Mapping[int, int] = {}  # of the graph around it, by those of its own
    same: Mapping[int, int] = {}

    def Inputs(self, j: int) -> int:
        tensor = super().Inputs(j)
        tensor = self.tensors.get(tensor, tensor)
        return self.same.get(tensor, tensor)

    def InputsAsNumpy(self) -> np.ndarray:
        return np.array([self.Inputs(j) for j in range(self.InputsLength())], np.int32)

    def Outputs(self, j: int) -> int:
        tensor = super().Outputs(j)
        return self.tensors.get(tensor, tensor)

    def OutputsAsNumpy(self) -> np.ndarray:
        return np.array([self.Outputs(j) for j in range(self.OutputsLength())], np.int32)


@dataclass(frozen=True)
class Inlined:
    """The first graph with others in place of the operators that stand for them.

    `tensors` are those behind its own, and `operators` all of them, in order, the latter with the
    mapping from the tensors of their graph to the merged ones.
    """

    tensors: tuple[tflite.Tensor, ...]
    operators: tuple[tuple[tflite.Operator, Mapping[int, int]], ...]
    graphs: frozenset[int]


class NamedSubGraph(tflite.SubGraph):
    """A graph, or a part of one, that hands out :class:`NamedTensor`."""

    main: int = 0  # the graph that is compiled, which everybody knows as the first
    names: Sequence[str] = ()
    inlined: Inlined | None = None
    part: GraphPart | None = None
    expanded: Mapping[int, np.ndarray] = {}

    def Tensors(self, j: int) -> NamedTensor:
        own = super().TensorsLength()
        plain = (
            super().Tensors(j) if self.inlined is None or j < own else self.inlined.tensors[j - own]
        )
        tensor = NamedTensor()
        tensor.Init(plain._tab.Bytes, plain._tab.Pos)
        tensor.unique_name = self.names[j]
        tensor.expanded = self.expanded.get(j)
        return tensor

    def TensorsLength(self) -> int:
        behind = () if self.inlined is None else self.inlined.tensors
        return super().TensorsLength() + len(behind)

    def Operators(self, j: int) -> tflite.Operator:
        if self.part is None and self.inlined is None:
            return super().Operators(j)
        position = j if self.part is None else self.part.operators[j]
        plain, tensors = (
            (super().Operators(position), {})
            if self.inlined is None
            else self.inlined.operators[position]
        )
        operator = PlacedOperator()
        operator.Init(plain._tab.Bytes, plain._tab.Pos)
        operator.tensors = tensors
        operator.same = {} if self.part is None else self.part.same
        return operator

    def OperatorsLength(self) -> int:
        if self.part is not None:
            return len(self.part.operators)
        return super().OperatorsLength() if self.inlined is None else len(self.inlined.operators)

    def Inputs(self, j: int) -> int:
        return super().Inputs(j) if self.part is None else self.part.inputs[j]

    def InputsLength(self) -> int:
        return super().InputsLength() if self.part is None else len(self.part.inputs)

    def InputsAsNumpy(self) -> np.ndarray:
        return (
            super().InputsAsNumpy() if self.part is None else np.array(self.part.inputs, np.int32)
        )

    def Outputs(self, j: int) -> int:
        return super().Outputs(j) if self.part is None else self.part.outputs[j]

    def OutputsLength(self) -> int:
        return super().OutputsLength() if self.part is None else len(self.part.outputs)

    def OutputsAsNumpy(self) -> np.ndarray:
        return (
            super().OutputsAsNumpy() if self.part is None else np.array(self.part.outputs, np.int32)
        )


class NamedModel(tflite.Model):
    """A model that hands out :class:`NamedSubGraph`.

    `inlined` is what its first graph looks like with others inside, `part` what is looked at of
    that; `expanded` are tensors there that stand for other values than the file has, by index.
    """

    main: int = 0  # the graph that is compiled, which everybody knows as the first
    names: Sequence[str] = ()
    inlined: Inlined | None = None
    part: GraphPart | None = None
    expanded: Mapping[int, np.ndarray] = {}

    def place_of(self, graph: int) -> int:
        """Where `Subgraphs` has a graph of the file: the compiled one is in front."""
        return {0: self.main, self.main: 0}.get(graph, graph)

    def Subgraphs(self, j: int) -> NamedSubGraph:
        plain = super().Subgraphs(self.place_of(j))
        graph = NamedSubGraph()
        graph.Init(plain._tab.Bytes, plain._tab.Pos)
        # Only the first graph's tensors are named; of the others, values alone are read.
        graph.names = self.names if j == 0 else _unique_names(plain, len(self._tab.Bytes))
        if j == 0:
            graph.inlined, graph.part, graph.expanded = self.inlined, self.part, self.expanded
        return graph


def read_model(data: bytes, label: str, signature: str | None = None) -> NamedModel:
    """The model in `data`, its graph of a `signature` in front.

    `label` names it in the :class:`UserError` of an unreadable one.
    """
    if not tflite.Model.ModelBufferHasIdentifier(data, 0):
        raise UserError(f"{label} is not a readable TFLite model (it lacks the mark 'TFL3')")
    with reading(label):
        root = tflite.Model.GetRootAs(data, 0)
        model = NamedModel()
        model.Init(data, root._tab.Pos)
        subgraphs = _length(model.SubgraphsLength(), len(data), "subgraphs")
        if subgraphs == 0:
            raise ValueError("it has no graph")
        _refuse_accelerators(model, len(data), label)
        _length(model.SignatureDefsLength(), len(data), "signatures")
        model.main = graph_to_compile(model, signature, label)
        if not 0 <= model.main < subgraphs:
            raise ValueError(f"a signature has graph {model.main} of {subgraphs}")
        model.names = _unique_names(tflite.Model.Subgraphs(model, model.main), len(data))
        check_graph(model, 0, len(data))
        if model.Subgraphs(0).OutputsLength() == 0:
            raise ValueError("its graph has no output")
    return model


@contextmanager
def reading(label: str) -> Iterator[None]:
    """Turn whatever reading a damaged flatbuffer raises into a :class:`UserError`."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # struct.error, IndexError, ValueError, ...: all mean bad offsets
        reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        raise UserError(f"{label} is not a readable TFLite model ({reason})") from None


def operator_name(model: tflite.Model, operator: tflite.Operator) -> str:
    """The schema's name of an operator, for custom ones ``CUSTOM <name>``."""
    code = model.OperatorCodes(operator.OpcodeIndex())
    number = max(code.DeprecatedBuiltinCode(), code.BuiltinCode())
    if number == tflite.BuiltinOperator.CUSTOM:
        return f"CUSTOM {(code.CustomCode() or b'').decode('utf-8', 'replace')}".strip()
    return _OPERATOR_NAMES.get(number, f"operator number {number}")


def constant_value(model: tflite.Model, tensor: tflite.Tensor) -> np.ndarray | None:
    """The values that the file holds for a tensor, or None."""
    if isinstance(tensor, NamedTensor) and tensor.expanded is not None:
        return tensor.expanded
    buffer = model.Buffers(tensor.Buffer())
    if tensor.Sparsity() is not None:  # other values than the buffer's, which DENSIFY gives
        return None
    if buffer is None or not has_data(buffer, tensor) or tensor.Type() not in _ITEM_SIZES:
        return None
    dtype = _NUMPY_TYPES[tensor.Type()]
    return np.frombuffer(buffer.DataAsNumpy(), dtype).reshape(shape_of(tensor))


def has_data(buffer: tflite.Buffer, tensor: tflite.Tensor) -> bool:
    """Whether the tensor's values stand in the file: an empty list of them may mean that not."""
    if buffer.DataIsNone():
        return False
    return buffer.DataLength() > 0 or 0 in shape_of(tensor)


def element_type(tensor: tflite.Tensor) -> np.dtype:
    """The type of a tensor's elements.  Raises ValueError for one that no tensor here has."""
    if tensor.Type() not in _NUMPY_TYPES:
        raise ValueError(f"a variable has the type {type_name(tensor.Type())}")
    return _NUMPY_TYPES[tensor.Type()]


def shape_of(tensor: tflite.Tensor) -> tuple[int, ...]:
    """The shape written in the file."""
    return tuple(int(tensor.Shape(axis)) for axis in range(tensor.ShapeLength()))


def type_name(number: int) -> str:
    """``int8``, ``float32``, ... of a number of the schema's TensorType."""
    return _TYPE_NAMES.get(number, f"type number {number}")


def _names_of(enumeration: type) -> dict[int, str]:
    return {
        value: key
        for key, value in vars(enumeration).items()
        if not key.startswith("_") and isinstance(value, int)
    }


_OPERATOR_NAMES = _names_of(tflite.BuiltinOperator)
_TYPE_NAMES = {number: name.lower() for number, name in _names_of(tflite.TensorType).items()}
_NUMPY_TYPES = {number: np.dtype(_TYPE_NAMES[number]) for number in _ITEM_SIZES}


def _length(length: int, file_size: int, what: str) -> int:
    # Every entry of a vector takes at least a byte: a larger count is garbage, and walking it
    # would not end in reasonable time.
    if length > file_size:
        raise ValueError(f"it claims {length} {what}")
    return length


def _refuse_accelerators(model: tflite.Model, file_size: int, label: str) -> None:
    for index in range(_length(model.OperatorCodesLength(), file_size, "operator codes")):
        name = model.OperatorCodes(index).CustomCode()
        if name:
            refuse_accelerator(name.decode("utf-8", "replace"), label)


def _unique_names(graph: tflite.SubGraph, file_size: int) -> list[str]:
    names: list[str] = []
    taken: set[str] = set()
    for index in range(_length(graph.TensorsLength(), file_size, "tensors")):
        raw = graph.Tensors(index).Name()
        name = raw.decode("utf-8", "replace") if raw else f"tensor_{index}"
        if name in taken:
            name = f"{name}_{index}"
        while name in taken:
            name += "_"
        taken.add(name)
        names.append(name)
    return names


def check_graph(model: NamedModel, index: int, file_size: int) -> NamedSubGraph:
    """One of the graphs; ValueError if it refers to what is not there."""
    graph = model.Subgraphs(index)
    tensors = graph.TensorsLength()
    buffers = _length(model.BuffersLength(), file_size, "buffers")
    codes = _length(model.OperatorCodesLength(), file_size, "operator codes")
    for index in range(codes):
        code = model.OperatorCodes(index)
        code.BuiltinCode(), code.DeprecatedBuiltinCode(), code.CustomCode()
    for index in range(tensors):
        tensor = graph.Tensors(index)
        if tensor.Buffer() >= buffers:
            raise ValueError(f"tensor {index} refers to buffer {tensor.Buffer()} of {buffers}")
        _check_tensor(model, tensor, file_size)
    for role, length, entry in (
        ("input", graph.InputsLength(), graph.Inputs),
        ("output", graph.OutputsLength(), graph.Outputs),
    ):
        for index in range(_length(length, file_size, role + "s")):
            if not 0 <= entry(index) < tensors:
                raise ValueError(f"{role} {index} refers to tensor {entry(index)} of {tensors}")
    for index in range(_length(graph.OperatorsLength(), file_size, "operators")):
        operator = graph.Operators(index)
        if operator.OpcodeIndex() >= codes:
            raise ValueError(f"operator {index} refers to code {operator.OpcodeIndex()} of {codes}")
        _length(operator.InputsLength() + operator.OutputsLength(), file_size, "operands")
        operands = [operator.Inputs(i) for i in range(operator.InputsLength())]
        results = [operator.Outputs(i) for i in range(operator.OutputsLength())]
        if any(not -1 <= t < tensors for t in operands) or any(
            not 0 <= t < tensors for t in results
        ):
            raise ValueError(f"operator {index} refers to tensors that do not exist")
        options = operator.BuiltinOptions()
        if options is not None and not 0 <= options.Pos < file_size:
            raise ValueError(f"the options of operator {index} lie outside the file")
    return graph


def _check_tensor(model: tflite.Model, tensor: NamedTensor, file_size: int) -> None:
    name = tensor.unique_name
    shape = shape_of(tensor)
    if any(dim < -1 for dim in shape) or tensor.ShapeLength() > 16:
        raise ValueError(f"tensor {name!r} has the shape {list(shape)}")
    _length(tensor.ShapeSignatureLength(), file_size, "dimensions")
    quantization = tensor.Quantization()
    if quantization is not None:
        _length(quantization.ScaleLength(), file_size, "scales")
        _length(quantization.ZeroPointLength(), file_size, "zero points")
        quantization.ScaleAsNumpy(), quantization.ZeroPointAsNumpy()
        quantization.QuantizedDimension()
    buffer = model.Buffers(tensor.Buffer())
    if buffer.Offset() > 1:
        raise ValueError(f"tensor {name!r} keeps its data outside the flatbuffer")
    if not has_data(buffer, tensor):
        return
    present = buffer.DataLength()
    size = _ITEM_SIZES.get(tensor.Type())
    sparse = tensor.Sparsity() is not None
    if sparse and (min(shape, default=1) < 0 or _count(shape) > _MOST_SPARSE):
        raise ValueError(
            f"sparse tensor {name!r} has the shape {list(shape)}, with more than {_MOST_SPARSE:,} "
            "elements"
        )
    if size is not None and not sparse and present != size * _count(shape):
        raise ValueError(
            f"tensor {name!r} of shape {list(shape)} has {present} bytes of data instead of "
            f"{size * _count(shape)}"
        )


def _count(shape: Sequence[int]) -> int:
    count = 1
    for dim in shape:
        count *= dim
    return count
