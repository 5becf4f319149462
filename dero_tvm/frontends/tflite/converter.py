"""TVM's TFLite converter, with the quantized operators it lacks and the cases it gets wrong.

Quantized arithmetic is imported as dequantize -> float operator -> quantize.  Operators that only
move values (transpose, pad, slice, ...) act on the quantized values directly where input and
output share their quantization, as TVM does for RESHAPE and MAX_POOL_2D; where they do not, the
moved values are requantized.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tflite
from tvm import ir, relax
from tvm.relax.frontend.tflite.tflite_frontend import OperatorConverter, TensorWrapper

from dero_tvm.boundary.errors import InternalError, UserError, first_line
from relax_passes.ir.origins import Origin
from relax_passes.operators import make_call

from .bias import bias_of, bias_quantization
from .declared import check_outputs
from .folding import fold
from .reader import NamedSubGraph, has_data, shape_of

# Output values are input values, so quantization commutes with them.
MOVES = frozenset(
    {
        "BATCH_TO_SPACE_ND",
        "BROADCAST_TO",
        "DEPTH_TO_SPACE",
        "DYNAMIC_UPDATE_SLICE",
        "EMBEDDING_LOOKUP",
        "EXPAND_DIMS",
        "GATHER",
        "GATHER_ND",
        "MIRROR_PAD",
        "PACK",
        "PAD",
        "PADV2",
        "RESHAPE",
        "RESIZE_NEAREST_NEIGHBOR",
        "REVERSE_V2",
        "SLICE",
        "SPACE_TO_BATCH_ND",
        "SPACE_TO_DEPTH",
        "SPLIT",
        "SPLIT_V",
        "SQUEEZE",
        "STRIDED_SLICE",
        "TILE",
        "TRANSPOSE",
        "UNPACK",
    }
)
"""Operators that move values and compute nothing."""

DATA_INPUT = {"EMBEDDING_LOOKUP": 1, "SPLIT": 1}
"""The operand of a move that is moved, where it is not the first."""

# Order is what matters to these, and quantization keeps it; SHAPE does not look at values; CAST
# takes integers as they are.
_QUANTIZATION_BLIND = frozenset({"ARG_MAX", "ARG_MIN", "CAST", "SHAPE"})

# LiteRT computes them with the integers as they are, whatever they stand for.
_WITHOUT_SCALES = frozenset({"FLOOR_DIV", "FLOOR_MOD"})


Rule = Callable[["Converter", tflite.Operator], ir.Expr]
RULES: dict[str, Rule] = {}


def rule(*codes: str) -> Callable[[Rule], Rule]:
    """Decorator: has a function convert these operators in place of TVM's."""

    def register(convert: Rule) -> Rule:
        RULES.update(dict.fromkeys(codes, convert))
        return convert

    return register


class Converter(OperatorConverter):
    """Converts one graph; passed to TVM's ``from_tflite`` as its `op_converter`.

    `label` names the model in the :class:`UserError` of an operator that cannot be converted.
    `declared_shapes` says that the shapes in the file hold: it is read for the inputs it was
    written with.
    """

    def __init__(
        self,
        model: tflite.Model,
        subgraph: tflite.SubGraph,
        exp_tab: Any,
        ctx: Any,
        conversion_state: Any = None,
        *,
        label: str = "",
        declared_shapes: bool = True,
    ) -> None:
        super().__init__(model, subgraph, exp_tab, ctx, conversion_state)
        self._label = label
        self._declared_shapes = declared_shapes
        self._moving = False
        self._bias: tuple[int | None, dict[str, Any]] | None = None
        self.origins: dict[relax.Expr, Origin] = {}
        if isinstance(subgraph, NamedSubGraph):
            for index, values in subgraph.expanded.items():
                self.set_prefetched_node(index, values)
        own = {code: functools.partial(convert, self) for code, convert in RULES.items()}
        self._SUPPORTED_QUANTIZED_OPS = (
            OperatorConverter._SUPPORTED_QUANTIZED_OPS
            | MOVES
            | _QUANTIZATION_BLIND
            | frozenset(own)
            | {"DENSIFY", "RELU_0_TO_1"}
        ) - _WITHOUT_SCALES
        self.convert_map.update(own)
        for code in MOVES:
            self.convert_map[code] = functools.partial(self._move, code, self.convert_map[code])
        for code, convert in self.convert_map.items():
            self.convert_map[code] = functools.partial(self._guarded, code, convert)

    # What TVM's converters read, corrected

    def check_unsupported_ops(self) -> None:
        """Done by the caller before the import, for all operators at once."""

    def get_tensors(self, tensors_idx_list: Sequence[int]) -> list[TensorWrapper]:
        wrappers = [self._wrapper(int(i)) for i in self._indices_or_empty(tensors_idx_list)]
        # An omitted bias is written as a last input of index -1.
        while wrappers and wrappers[-1].tensor_idx < 0:
            wrappers.pop()
        return wrappers

    def _wrapper(self, index: int) -> TensorWrapper:
        if index < 0:
            return TensorWrapper(index, 0, 0)
        tensor = self.subgraph.Tensors(index)
        buffer = self.model.Buffers(tensor.Buffer())
        if self._bias is not None and index == self._bias[0]:
            return TensorWrapper(index, tensor, buffer, dict(self._bias[1]))
        return TensorWrapper(index, tensor, buffer, quantization_of(tensor))

    def is_constant(self, tensor_wrapper: TensorWrapper) -> bool:
        """Whether `get_tensor_value` has its values."""
        known = self.is_prefetched(tensor_wrapper.tensor_idx)
        return bool(known or has_data(tensor_wrapper.buffer, tensor_wrapper.tensor))

    def get_tensor_value(
        self, tensor_wrapper: TensorWrapper, is_sparse: bool = False
    ) -> np.ndarray:
        if self.is_prefetched(tensor_wrapper.tensor_idx):
            return self.get_prefetched_node(tensor_wrapper.tensor_idx)
        if not self.is_constant(tensor_wrapper):
            raise ValueError(
                f"its operand {tensor_wrapper.tensor.Name().decode()!r} must be a constant"
            )
        return super().get_tensor_value(tensor_wrapper, is_sparse)

    def get_expr(self, input_tensor_idx: int) -> ir.Expr:
        if self.has_expr(input_tensor_idx):
            return super().get_expr(input_tensor_idx)
        return self.get_tensor_expr(self.get_tensors([input_tensor_idx])[0])

    def get_tensor_shape(self, tensor_wrapper: TensorWrapper) -> list[int]:
        # The shapes in the file hold for the batch it was written with; what has been imported
        # so far knows the batch the user asked for.
        if self.has_expr(tensor_wrapper.tensor_idx):
            return self.static_shape(self.get_expr(tensor_wrapper.tensor_idx))
        return [int(dim) for dim in super().get_tensor_shape(tensor_wrapper)]

    def tensor_of(self, index: int) -> TensorWrapper:
        """One operand; of index -1 if it is omitted."""
        return self._wrapper(int(index))

    def declared_shape(self, index: int) -> tuple[int, ...] | None:
        """What the file says of a tensor that is computed; None if it is open or does not hold."""
        tensor = self.subgraph.Tensors(index)
        marks = [tensor.ShapeSignature(i) for i in range(tensor.ShapeSignatureLength())]
        shape = shape_of(tensor)
        holds = self._declared_shapes and shape and min((*shape, *marks)) > 0
        return shape if holds else None

    def leave(self, state: TensorWrapper, left: ir.Expr) -> None:
        """Let `left` be what the variable tensor `state` holds from now on."""
        self.exp_tab.set_expr(state.tensor.Name().decode(), left, force_override=True)

    def static_shape(self, expr: ir.Expr) -> list[int]:
        return [int(dim) for dim in self.bb.normalize(expr).ty.shape]

    # Wrappers around every converter

    def _guarded(self, code: str, convert: Callable, op: tflite.Operator) -> ir.Expr | None:
        output = self.subgraph.Tensors(op.Outputs(0)).Name().decode()
        where = f"{self._label}: the operator {code} that computes {output!r}"
        try:
            self._take_bias(code, op)
            values = fold(self, code, convert, op)
            if values is not None:
                self._prefetch(where, op, values)
                return None
            result = convert(op=op)
            if result is None:
                return None
            result = self.bb.normalize(result)
            several = isinstance(result.ty, relax.TupleType)
            types = list(result.ty.fields) if several else [result.ty]
            self._check(where, op, types)
            self._note_origin(code, op, result)
            return result
        except (UserError, InternalError):
            raise
        except Exception as error:  # TVM's converters assert, look up and raise freely
            raise UserError(
                f"{self._label}: cannot import the operator {code} that computes {output!r}: "
                f"{self._with_many_scales(op) or first_line(error)}"
            ) from error
        finally:
            self._bias = None

    def _with_many_scales(self, op: tflite.Operator) -> str:
        """What is wrong with a tensor that is computed and has several scales; "" if none is."""
        for tensor in (*self.get_input_tensors(op), *self.get_output_tensors(op)):
            if tensor.qnn_params and tensor.qnn_params["scale"].value.numpy().size > 1:
                if not has_data(tensor.buffer, tensor.tensor):
                    return (
                        f"tensor {tensor.tensor.Name().decode()!r} is computed and has several "
                        "scales, as constants alone may; convert the model again"
                    )
        return ""

    def _take_bias(self, code: str, op: tflite.Operator) -> None:
        """From now on `get_tensors` gives the operator's bias the units of its sums."""
        index = bias_of(code, op, self.subgraph)
        quantization = (
            None if index is None else bias_quantization(code, self.get_input_tensors(op))
        )
        self._bias = None if quantization is None else (index, quantization)

    def _note_origin(self, code: str, op: tflite.Operator, result: ir.Expr) -> None:
        outputs = [self.subgraph.Tensors(op.Outputs(i)) for i in range(op.OutputsLength())]
        parts = list(result.fields) if isinstance(result, relax.Tuple) else [result]
        for part, output in zip(parts, outputs):
            if isinstance(part, (relax.Var, ir.Call, relax.TupleGetItem)):
                self.origins.setdefault(part, Origin(code, output.Name().decode()))

    def _prefetch(self, where: str, op: tflite.Operator, values: Sequence[np.ndarray]) -> None:
        """Let the outputs be constants."""
        types = []
        for index, value in enumerate(values):
            tensor = op.Outputs(index)
            dtype = self.get_tensor_type_str(self.subgraph.Tensors(tensor).Type())
            self.set_prefetched_node(tensor, value.astype(dtype))
            types.append(relax.TensorType(value.shape, dtype))
        self._check(where, op, types)

    def _check(self, where: str, op: tflite.Operator, types: Sequence[relax.Type]) -> None:
        outputs = [op.Outputs(index) for index in range(op.OutputsLength())]
        kinds = [self.get_tensor_type_str(self.subgraph.Tensors(i).Type()) for i in outputs]
        check_outputs(where, self.subgraph, outputs, types, kinds, shapes=self._declared_shapes)

    @staticmethod
    def _sizes(ty: relax.Type) -> list[Any]:
        return [getattr(dim, "value", dim) for dim in getattr(ty, "shape", None) or ()]

    def _move(self, code: str, convert: Callable, op: tflite.Operator) -> ir.Expr:
        self._moving = True
        try:
            result = convert(op=op)
        finally:
            self._moving = False
        source = self.get_input_tensors(op)[DATA_INPUT.get(code, 0)]
        targets = self.get_output_tensors(op)
        if not source.qnn_params:
            return result
        if not any(self._requantizes(source, target) for target in targets):
            return result
        if len(targets) == 1:
            return self.quantize(self.dequantize(result, source), targets[0])
        result = self.bb.normalize(result)
        return relax.Tuple(
            [
                self.quantize(self.dequantize(result[index], source), target)
                for index, target in enumerate(targets)
            ]
        )

    def has_same_qnn_params(self, lhs_tensor: TensorWrapper, rhs_tensor: TensorWrapper) -> bool:
        # TVM asserts this for moves, which `_move` requantizes, and compares scales with a
        # tolerance that is far above the scales of small activations.
        return self._moving or not self._requantizes(lhs_tensor, rhs_tensor)

    @staticmethod
    def _requantizes(source: TensorWrapper, target: TensorWrapper) -> bool:
        if not target.qnn_params:
            return False
        return any(
            not np.array_equal(
                source.qnn_params[key].value.numpy(), target.qnn_params[key].value.numpy()
            )
            for key in ("scale", "zero_point")
        )

    def _convert_reduce(self, relax_op: Callable[..., ir.Expr], op: tflite.Operator) -> ir.Expr:
        """Of axes that may be listed twice, or from the end, as LiteRT takes them."""

        def reduced(expr: ir.Expr, axes: Sequence[int], keep: bool) -> ir.Expr:
            rank = len(self.static_shape(expr))
            found = {int(axis) + (rank if axis < 0 else 0) for axis in axes}
            return relax_op(expr, sorted(found), keep)

        return super()._convert_reduce(reduced, op)

    def dequantize(self, expr: ir.Expr, tensor: TensorWrapper) -> ir.Expr:
        """Relax does not know the biases of layers with int64 sums."""
        expr = self.bb.normalize(expr)
        if str(expr.ty.dtype) != "int64":
            return super().dequantize(expr, tensor)
        shape = self.static_shape(expr)
        scale = np.broadcast_to(tensor.qnn_params["scale"].value.numpy(), shape)
        return make_call("dequantize_bias", [expr, relax.const(np.ascontiguousarray(scale))])

    def through_float(
        self, op: tflite.Operator, function: Callable[..., ir.Expr], inputs: Sequence[int] = (0,)
    ) -> ir.Expr:
        """`function` between dequantize and quantize, each only where its tensor is quantized."""
        tensors = self.get_input_tensors(op)
        operands = []
        for index in inputs:
            expr = self.get_tensor_expr(tensors[index])
            if tensors[index].qnn_params:
                expr = self.dequantize(expr, tensors[index])
            operands.append(self.bb.normalize(expr))
        out = function(*operands)
        target = self.get_output_tensors(op)[0]
        return self.quantize(out, target) if target.qnn_params else out


def quantization_of(tensor: tflite.Tensor) -> dict[str, Any] | None:
    """Scale, zero point and axis as TVM's importer wants them; None for other tensors."""
    parameters = tensor.Quantization()
    if parameters is None:
        return None
    scales = parameters.ScaleAsNumpy()
    several = scales.size > 1  # one scale has no axis, whatever the file says
    return {
        "scale": relax.const(scales if several else float(scales[0]), "float32"),
        "zero_point": relax.const(
            int(parameters.ZeroPoint(0)) if parameters.ZeroPointLength() else 0, "int32"
        ),
        "axis": int(parameters.QuantizedDimension()) if several else 0,
    }


def scale_of(tensor: TensorWrapper) -> tuple[float, int]:
    """The one scale and zero point of a quantized tensor; ValueError if it has none or several."""
    parameters = tensor.qnn_params
    if not parameters or parameters["scale"].value.numpy().shape:
        raise ValueError(f"{tensor.tensor.Name().decode()!r} does not have one scale")
    return (
        float(parameters["scale"].value.numpy()),
        int(parameters["zero_point"].value.numpy()),
    )
