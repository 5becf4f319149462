"""TVM's TFLite converter, with the quantized operators it lacks and the cases it gets wrong.

Quantized arithmetic is imported as dequantize -> float operator -> quantize.  Operators that only
move values (transpose, pad, slice, ...) act on the quantized values directly where input and
output share their quantization, as TVM does for RESHAPE and MAX_POOL_2D; where they do not, the
moved values are requantized.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np
import tflite
from tvm import ir, relax
from tvm.relax.frontend.tflite.tflite_frontend import OperatorConverter, TensorWrapper

from dero_tvm.errors import UserError, first_line

from .constant_shapes import evaluate, options_of, strided_slice_index
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

# SPLIT has its axis first and its data second.
_DATA_INPUT = {"SPLIT": 1}

# Order is what matters to these, and quantization keeps it; SHAPE does not look at values.
_QUANTIZATION_BLIND = frozenset({"ARG_MAX", "ARG_MIN", "SHAPE"})


class Converter(OperatorConverter):
    """Converts one graph; passed to TVM's ``from_tflite`` as its `op_converter`.

    `label` names the model in the :class:`UserError` of an operator that cannot be converted.
    """

    def __init__(self, model, subgraph, exp_tab, ctx, conversion_state=None, *, label: str = ""):
        super().__init__(model, subgraph, exp_tab, ctx, conversion_state)
        self._label = label
        self._moving = False
        own: dict[str, Callable] = {
            "ELU": self._convert_elu,
            "GATHER": self._convert_gather,
            "GELU": self._convert_gelu,
            "L2_NORMALIZATION": self._convert_l2_normalization,
            "PAD": self._convert_pad,
            "PADV2": self._convert_pad,
            "PRELU": self._convert_prelu,
            "SOFTMAX": self._convert_softmax,
            "SPLIT": functools.partial(self._convert_split, "SPLIT"),
            "SPLIT_V": functools.partial(self._convert_split, "SPLIT_V"),
            "SQUARE": self._convert_square,
            "SQUEEZE": self._convert_squeeze,
            "STRIDED_SLICE": self._convert_strided_slice,
            "FULLY_CONNECTED": self._convert_fully_connected,
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

    def get_tensors(self, tensors_idx_list) -> list[TensorWrapper]:
        wrappers = super().get_tensors(tensors_idx_list)
        # An omitted bias is written as a last input of index -1.
        while wrappers and wrappers[-1].tensor_idx < 0:
            wrappers.pop()
        for wrapper in wrappers:
            parameters = wrapper.qnn_params
            if parameters and not parameters["scale"].value.numpy().shape:
                parameters["axis"] = 0  # one scale has no axis, whatever the file says
        return wrappers

    def get_tensor_value(self, tensor_wrapper, is_sparse=False):
        if self.is_prefetched(tensor_wrapper.tensor_idx):
            return self.get_prefetched_node(tensor_wrapper.tensor_idx)
        if tensor_wrapper.buffer.DataIsNone():
            raise ValueError(
                f"its operand {tensor_wrapper.tensor.Name().decode()!r} must be a constant"
            )
        return super().get_tensor_value(tensor_wrapper, is_sparse)

    def get_expr(self, input_tensor_idx):
        if self.has_expr(input_tensor_idx):
            return super().get_expr(input_tensor_idx)
        return self.get_tensor_expr(self.get_tensors([input_tensor_idx])[0])

    def get_tensor_shape(self, tensor_wrapper):
        # The shapes in the file hold for the batch it was written with; what has been imported
        # so far knows the batch the user asked for.
        if self.has_expr(tensor_wrapper.tensor_idx):
            return self._shape(self.get_expr(tensor_wrapper.tensor_idx))
        return [int(dim) for dim in super().get_tensor_shape(tensor_wrapper)]

    def _shape(self, expr: ir.Expr) -> list[int]:
        return [int(dim) for dim in self.bb.normalize(expr).ty.shape]

    # Wrappers around every converter

    def _guarded(self, code: str, convert: Callable, op: tflite.Operator):
        try:
            if self._fold(code, op):
                return None
            result = convert(op=op)
            return None if result is None else self.bb.normalize(result)
        except UserError:
            raise
        except Exception as error:  # TVM's converters assert, look up and raise freely
            output = self.subgraph.Tensors(op.Outputs(0)).Name().decode()
            raise UserError(
                f"{self._label}: cannot import the operator {code} that computes {output!r}: "
                f"{first_line(error)}"
            ) from error

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
            value = np.array(self._shape(self.get_expr(op.Inputs(0))))
        else:
            inputs = [self._known(op.Inputs(i)) for i in range(op.InputsLength())]
            if not inputs or any(array is None for array in inputs):
                return False
            value = evaluate(code, op, inputs)
            if value is None:
                return False
        self.set_prefetched_node(output, value.astype(dtype))
        return True

    def _known(self, index: int) -> np.ndarray | None:
        if index < 0 or self.has_expr(index):
            return None
        if self.is_prefetched(index):
            return self.get_prefetched_node(index)
        return constant_value(self.model, self.subgraph.Tensors(index))

    def _move(self, code: str, convert: Callable, op: tflite.Operator):
        self._moving = True
        try:
            result = convert(op=op)
        finally:
            self._moving = False
        source = self.get_input_tensors(op)[_DATA_INPUT.get(code, 0)]
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

    def has_same_qnn_params(self, lhs_tensor, rhs_tensor) -> bool:
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

    def _through_float(
        self, op: tflite.Operator, function: Callable[..., ir.Expr], inputs: Sequence[int] = (0,)
    ):
        """dequantize -> `function` -> quantize, the first and last only where quantized."""
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

    # Operators that TVM converts wrongly, or not when quantized

    def _convert_elu(self, op):
        def elu(data):
            negative = relax.op.minimum(data, relax.const(0.0, "float32"))
            return relax.op.add(
                relax.op.nn.relu(data),
                relax.op.subtract(relax.op.exp(negative), relax.const(1.0, "float32")),
            )

        return self._through_float(op, elu)

    def _convert_gelu(self, op):
        approximate = options_of(op, tflite.GeluOptions).Approximate()
        return self._through_float(op, relax.op.nn.gelu_tanh if approximate else relax.op.nn.gelu)

    def _convert_square(self, op):
        return self._through_float(op, lambda data: relax.op.multiply(data, data))

    def _convert_l2_normalization(self, op):
        def normalize(data):
            squares = relax.op.sum(relax.op.multiply(data, data), axis=-1, keepdims=True)
            # LiteRT divides by at least this norm.
            norm = relax.op.maximum(relax.op.sqrt(squares), relax.const(1e-6, "float32"))
            return relax.op.divide(data, norm)

        return self._through_float(op, normalize)

    def _convert_prelu(self, op):
        def prelu(data, alpha):
            negative = relax.op.minimum(data, relax.const(0.0, "float32"))
            return relax.op.add(relax.op.nn.relu(data), relax.op.multiply(alpha, negative))

        return self._through_float(op, prelu, inputs=(0, 1))

    def _convert_softmax(self, op):
        beta = options_of(op, tflite.SoftmaxOptions).Beta()

        def softmax(data):
            if beta != 1.0:
                data = relax.op.multiply(data, relax.const(beta, "float32"))
            return relax.op.nn.softmax(data, axis=-1)

        return self._through_float(op, softmax)

    def _convert_gather(self, op):
        options = options_of(op, tflite.GatherOptions)
        if options.BatchDims():
            raise ValueError("GATHER with batch dimensions is not supported")
        data, indices = self.get_input_tensors(op)
        return relax.op.take(
            self.get_tensor_expr(data), self.get_tensor_expr(indices), axis=options.Axis()
        )

    def _convert_pad(self, op):
        data, amounts, *values = self.get_input_tensors(op)
        value: float = 0
        if values:
            value = self.get_tensor_value(values[0]).item()
            if values[0].qnn_params:
                scale, zero_point = _scale_and_zero_point(values[0])
                value = (value - zero_point) * scale
        if data.qnn_params:
            scale, zero_point = _scale_and_zero_point(data)
            value = round(value / scale) + zero_point
        pad_width = [int(amount) for amount in self.get_tensor_value(amounts).flat]
        return relax.op.nn.pad(
            self.get_tensor_expr(data), pad_width=pad_width, pad_value=float(value)
        )

    def _convert_split(self, code: str, op):
        if op.OutputsLength() == 1:
            return self.get_expr(op.Inputs(_DATA_INPUT.get(code, 0)))
        return self.convert_split(op) if code == "SPLIT" else self.convert_split_v(op)

    def _convert_squeeze(self, op):
        options = options_of(op, tflite.SqueezeOptions)
        axes = [int(options.SqueezeDims(i)) for i in range(options.SqueezeDimsLength())]
        return relax.op.squeeze(self.get_expr(op.Inputs(0)), axis=axes or None)

    def _convert_strided_slice(self, op):
        data, *bounds = self.get_input_tensors(op)
        expr = self.bb.normalize(self.get_tensor_expr(data))
        shape = self._shape(expr)
        index = strided_slice_index(op, *(self.get_tensor_value(bound) for bound in bounds))
        # NumPy resolves the index; a slice of positions along each axis is all Relax needs.
        given = sum(1 for entry in index if entry is not None and entry is not Ellipsis)
        if Ellipsis not in index:
            index += (Ellipsis,)
        begin, end, strides, final = [], [], [], []
        for entry in index:
            if entry is None:
                final.append(1)
                continue
            spans = len(shape) - given if entry is Ellipsis else 1
            for _ in range(spans):
                positions = range(shape[len(begin)])
                if entry is Ellipsis:
                    entry_positions = positions
                elif isinstance(entry, slice):
                    entry_positions = positions[entry]
                else:
                    at = positions[entry]
                    entry_positions = range(at, at + 1)
                begin.append(entry_positions.start)
                # A stop before the first element cannot be written as an index from the front.
                stop = entry_positions.stop
                end.append(stop if stop >= 0 else stop - len(positions))
                strides.append(entry_positions.step)
                if entry is Ellipsis or isinstance(entry, slice):
                    final.append(len(entry_positions))
        out = relax.op.strided_slice(
            expr, axes=list(range(len(shape))), begin=begin, end=end, strides=strides
        )
        out = self.bb.normalize(out)
        return out if self._shape(out) == final else relax.op.reshape(out, final)

    def _convert_fully_connected(self, op):
        data, weight = self.get_input_tensors(op)[:2]
        expr = self.bb.normalize(self.get_tensor_expr(data))
        shape = self._shape(expr)
        units, depth = self.get_tensor_shape(weight)
        keep = options_of(op, tflite.FullyConnectedOptions).KeepNumDims()
        if len(shape) == 2 and shape[1] == depth:
            return self.convert_fully_connected(op)
        # The matrix product is over all leading dimensions at once.
        name = data.tensor.Name().decode()
        flat = self.bb.normalize(relax.op.reshape(expr, [-1, depth]))
        self.exp_tab.set_expr(name, flat, force_override=True)
        try:
            out = self.bb.normalize(self.convert_fully_connected(op))
        finally:
            self.exp_tab.set_expr(name, expr, force_override=True)
        return relax.op.reshape(out, [*shape[:-1], units]) if keep else out


def _scale_and_zero_point(tensor: TensorWrapper) -> tuple[float, int]:
    parameters = tensor.qnn_params
    return (
        float(parameters["scale"].value.numpy()),
        int(parameters["zero_point"].value.numpy()),
    )
