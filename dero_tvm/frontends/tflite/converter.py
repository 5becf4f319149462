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

from dero_tvm.errors import UserError, first_line
from relax_passes.origins import Origin

from .arithmetic import ARITHMETIC_RULES
from .constant_shapes import evaluate
from .moves import DATA_INPUT, MOVE_RULES
from .reader import constant_value

# Output values are input values, so quantization commutes with them.
_MOVES = frozenset(
    {
        "BATCH_TO_SPACE_ND",
        "BROADCAST_TO",
        "DEPTH_TO_SPACE",
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

# Order is what matters to these, and quantization keeps it; SHAPE does not look at values.
_QUANTIZATION_BLIND = frozenset({"ARG_MAX", "ARG_MIN", "SHAPE"})


class Converter(OperatorConverter):
    """Converts one graph; passed to TVM's ``from_tflite`` as its `op_converter`.

    `label` names the model in the :class:`UserError` of an operator that cannot be converted.
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
    ) -> None:
        super().__init__(model, subgraph, exp_tab, ctx, conversion_state)
        self._label = label
        self._moving = False
        self.origins: dict[relax.Expr, Origin] = {}
        own = {
            code: functools.partial(rule, self)
            for code, rule in (ARITHMETIC_RULES | MOVE_RULES).items()
        }
        self._SUPPORTED_QUANTIZED_OPS = (
            OperatorConverter._SUPPORTED_QUANTIZED_OPS
            | _MOVES
            | _QUANTIZATION_BLIND
            | frozenset(own)
            | {"RELU_0_TO_1"}
        )
        self.convert_map.update(own)
        for code in _MOVES:
            self.convert_map[code] = functools.partial(self._move, code, self.convert_map[code])
        for code, convert in self.convert_map.items():
            self.convert_map[code] = functools.partial(self._guarded, code, convert)

    # What TVM's converters read, corrected

    def check_unsupported_ops(self) -> None:
        """Done by the caller before the import, for all operators at once."""

    def get_tensors(self, tensors_idx_list: Sequence[int]) -> list[TensorWrapper]:
        wrappers = super().get_tensors(tensors_idx_list)
        # An omitted bias is written as a last input of index -1.
        while wrappers and wrappers[-1].tensor_idx < 0:
            wrappers.pop()
        for wrapper in wrappers:
            parameters = wrapper.qnn_params
            if parameters and not parameters["scale"].value.numpy().shape:
                parameters["axis"] = 0  # one scale has no axis, whatever the file says
        return wrappers

    def get_tensor_value(
        self, tensor_wrapper: TensorWrapper, is_sparse: bool = False
    ) -> np.ndarray:
        if self.is_prefetched(tensor_wrapper.tensor_idx):
            return self.get_prefetched_node(tensor_wrapper.tensor_idx)
        if tensor_wrapper.buffer.DataIsNone():
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

    def static_shape(self, expr: ir.Expr) -> list[int]:
        return [int(dim) for dim in self.bb.normalize(expr).ty.shape]

    # Wrappers around every converter

    def _guarded(self, code: str, convert: Callable, op: tflite.Operator) -> ir.Expr | None:
        try:
            if self._fold(code, op):
                return None
            result = convert(op=op)
            if result is None:
                return None
            result = self.bb.normalize(result)
            self._note_origin(code, op, result)
            return result
        except UserError:
            raise
        except Exception as error:  # TVM's converters assert, look up and raise freely
            output = self.subgraph.Tensors(op.Outputs(0)).Name().decode()
            raise UserError(
                f"{self._label}: cannot import the operator {code} that computes {output!r}: "
                f"{first_line(error)}"
            ) from error

    def _note_origin(self, code: str, op: tflite.Operator, result: ir.Expr) -> None:
        outputs = [self.subgraph.Tensors(op.Outputs(i)) for i in range(op.OutputsLength())]
        parts = list(result.fields) if isinstance(result, relax.Tuple) else [result]
        for part, output in zip(parts, outputs):
            if isinstance(part, (relax.Var, ir.Call, relax.TupleGetItem)):
                self.origins.setdefault(part, Origin(code, output.Name().decode()))

    def _fold(self, code: str, op: tflite.Operator) -> bool:
        """Evaluate integer operators on constants; whether this was one."""
        if op.OutputsLength() != 1:
            return False
        output = op.Outputs(0)
        kind = self.subgraph.Tensors(output).Type()
        if kind not in (tflite.TensorType.INT32, tflite.TensorType.INT64):
            return False
        dtype = "int32" if kind == tflite.TensorType.INT32 else "int64"
        if code == "SHAPE":
            value = np.array(self.static_shape(self.get_expr(op.Inputs(0))))
        else:
            known = [self._known(op.Inputs(i)) for i in range(op.InputsLength())]
            inputs = [array for array in known if array is not None]
            folded = evaluate(code, op, inputs) if inputs and len(inputs) == len(known) else None
            if folded is None:
                return False
            value = folded
        self.set_prefetched_node(output, value.astype(dtype))
        return True

    def _known(self, index: int) -> np.ndarray | None:
        if index < 0 or self.has_expr(index):
            return None
        if self.is_prefetched(index):
            return self.get_prefetched_node(index)
        return constant_value(self.model, self.subgraph.Tensors(index))

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
