"""Operators whose operands are all constants, evaluated at import.

Models converted with an open batch compute shapes in the graph, and others compute tables,
indices and paddings there.  TVM's importer needs many of them as constants.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
import tflite
from tvm import relax
from tvm.ir import GenericConst
from tvm.relax.frontend.tflite.tflite_frontend import OperatorConverter

from relax_passes.ir.straight_line import read_function
from relax_passes.ir.unfinished import abandon

from .constant_shapes import evaluate
from .reader import constant_value

_NEVER_THE_SAME = ("MULTINOMIAL", "RANDOM_STANDARD_NORMAL", "RANDOM_UNIFORM")
_INTEGERS = (tflite.TensorType.INT32, tflite.TensorType.INT64)
_MOST_ELEMENTS = 1 << 24


def fold(
    converter: OperatorConverter, code: str, convert: Callable[..., Any], op: tflite.Operator
) -> list[np.ndarray] | None:
    """The values of the outputs of the operator `code`; None if it has to be computed later.

    Quantized arithmetic stays in the graph, where it is done in integers.
    """
    if code == "SHAPE":
        return [np.array(converter.static_shape(converter.get_expr(op.Inputs(0))))]
    inputs = [_known(converter, op.Inputs(i)) for i in range(op.InputsLength())]
    known = [array for array in inputs if array is not None]
    if not known or len(known) < len(inputs) or code in _NEVER_THE_SAME:
        return None
    if code == "DEQUANTIZE":  # weights of a network in floating point
        return [dequantized(known[0], converter.get_input_tensors(op)[0].qnn_params)]
    tensors = [*converter.get_input_tensors(op), *converter.get_output_tensors(op)]
    if any(tensor.qnn_params for tensor in tensors):
        return None
    kinds = {converter.subgraph.Tensors(op.Outputs(i)).Type() for i in range(op.OutputsLength())}
    if kinds <= set(_INTEGERS):
        value = evaluate(code, op, known)
        if value is not None:
            return [value]
    return _by_tvm(converter, convert, op)


def _known(converter: OperatorConverter, index: int) -> np.ndarray | None:
    if index < 0 or converter.has_expr(index):
        return None
    if converter.is_prefetched(index):
        return converter.get_prefetched_node(index)
    return constant_value(converter.model, converter.subgraph.Tensors(index))


def dequantized(values: np.ndarray, quantization: dict[str, Any] | None) -> np.ndarray:
    """float32 of float16 or of integers, which are multiplied by their scale in float32."""
    if quantization is None:
        return values.astype(np.float32)
    scale = quantization["scale"].value.numpy()
    if scale.ndim:
        shape = [1] * values.ndim
        shape[quantization["axis"]] = scale.size
        scale = scale.reshape(shape)
    zero_point = int(quantization["zero_point"].value.numpy())
    return scale * (values.astype(np.int64) - zero_point).astype(np.float32)


def _by_tvm(
    converter: OperatorConverter, convert: Callable[..., Any], op: tflite.Operator
) -> list[np.ndarray] | None:
    """Imports the operator into a function of its own, and has TVM compute that."""
    outer, converter.bb = converter.bb, relax.BlockBuilder()
    try:
        with converter.bb.function("main", []):
            with converter.bb.dataflow():
                result = converter.bb.normalize(convert(op=op))
                tuple_of = isinstance(result.ty, relax.TupleType)
                parts = [result[i] for i in range(op.OutputsLength())] if tuple_of else [result]
                outputs = [converter.bb.emit_output(part) for part in parts]
            converter.bb.emit_func_output(relax.Tuple(outputs))
        if sum(prod(int(dim) for dim in out.ty.shape) for out in outputs) > _MOST_ELEMENTS:
            return None
        results = read_function(relax.transform.FoldConstant()(converter.bb.finalize())).results
    except Exception:  # what is wrong is said when it is imported into the network
        abandon(converter.bb)
        return None
    finally:
        converter.bb = outer
    if not all(isinstance(result, GenericConst) for result in results):
        return None
    return [result.value.numpy() for result in results]
