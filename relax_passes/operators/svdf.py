"""A layer of filters of rank one over time (SVDF), as the two steps that its state is between.

    state = svdf_update(data, state, ...)    each filter forgets its oldest value and gets a new one
    out   = svdf_filter(state, ...)          each filter weighs the values that it remembers

The state has the values of all filters, oldest first, one filter after the other.  Arithmetic is
that of TensorFlow Lite Micro (``tensorflow/lite/micro/kernels/svdf_common.cc``).
"""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.script import tirx as T

from . import fixed_point, script
from .registry import Operator, OperatorClass, register
from .signature import Signature, TensorSpec

_LIMITS = {"int8": (-128, 127), "int16": (-32768, 32767)}


class _FilterBank(Operator):
    """Row r of the result needs row r of the row arguments: a row is one element of the batch."""

    memory_class = OperatorClass.OPAQUE

    def needed_rows(self, signature: Signature, argument: int, row: int) -> tuple[int, int]:
        return row, row + 1


@register
class SvdfUpdate(_FilterBank):
    """The state after `data`: ``state[b, f, :-1] = state[b, f, 1:]``, and last the newest value.

    ``data`` is [B, I], ``state`` [B, F * M], ``weight`` [F, I]; the new value of filter f is
    ``data[b] @ weight[f]``.  With integers it is ``requantize(sum((data - input_zero_point) *
    weight))``, saturated to the state's type, int8 or int16, and then ``+ state_zero_point``, which
    wraps around where the sum is beyond the type, as it does in TensorFlow Lite Micro.
    """

    name = "svdf_update"
    arguments = ("data", "state", "weight")
    read_by_rows = (0, 1)
    defaults = {"input_zero_point": 0, "state_zero_point": 0, "multiplier": None, "shift": None}

    def infer(self, inputs: tuple[TensorSpec, ...], attrs: dict[str, Any]) -> TensorSpec:
        """The state's shape and type."""
        if len(inputs) != 3 or any(len(spec.shape) != 2 for spec in inputs):
            raise ValueError(
                f"svdf_update takes data, state and weight, each of two axes: {inputs}"
            )
        data, state, weight = inputs
        filters, width = weight.shape
        kinds = (data.dtype, weight.dtype)
        real = state.dtype == "float32"
        if (
            kinds != (("float32",) * 2 if real else ("int8",) * 2)
            or not real
            and (state.dtype not in _LIMITS or attrs["multiplier"] is None)
        ):
            raise ValueError(f"svdf_update: a state of {state.dtype} does not go with {kinds}")
        if width != data.channels or state.shape[0] != data.shape[0] or state.channels % filters:
            raise ValueError(
                f"svdf_update: data {data.shape}, state {state.shape} and weight {weight.shape} do "
                "not fit each other"
            )
        return TensorSpec(state.shape, state.dtype)

    def in_place_arguments(self, signature: Signature) -> tuple[int, ...]:
        return (1,)

    def macs(self, signature: Signature) -> int:
        return signature.inputs[0].shape[0] * signature.inputs[2].elements

    def row_kernel(self, signature: Signature) -> tirx.PrimFunc:
        data, state, weight = signature.inputs
        filters, width = weight.shape
        memory = state.channels // filters
        state_kind, total = state.dtype, _total(state)
        zero_in = signature["input_zero_point"] if total == "int32" else 0.0
        finish = _requantized(signature, 0, state.dtype)
        zero_state = signature["state_zero_point"] if total == "int32" else 0

        @script.row_kernel(signature)
        def svdf_update_row(row, X, data_rows, S, state_rows, W, O):
            for f in range(filters):
                for m in range(memory - 1):
                    O[f * memory + m] = S[
                        T.truncmod(row, state_rows) * (filters * memory) + f * memory + m + 1
                    ]
                acc = T.alloc_buffer((1,), total)
                acc[0] = T.cast(0, total)
                for i in range(width):
                    acc[0] += (
                        T.cast(X[T.truncmod(row, data_rows) * width + i], total)
                        - T.cast(zero_in, total)
                    ) * T.cast(W[f * width + i], total)
                O[f * memory + memory - 1] = finish(acc[0]) + T.cast(zero_state, state_kind)

        return svdf_update_row


@register
class SvdfFilter(_FilterBank):
    """What the filters give: each unit adds up `rank` of them and its bias.

    ``state`` is [B, F * M], ``weight`` [F, M], ``bias`` has F / rank elements; the result is
    [B, F / rank].  With integers, ``requantize(sum((state - state_zero_point) * weight) + bias) +
    output_zero_point``, saturated to int8.
    """

    name = "svdf_filter"
    arguments = ("state", "weight", "bias")
    defaults = {
        "rank": 1,
        "state_zero_point": 0,
        "output_zero_point": 0,
        "multiplier": None,
        "shift": None,
    }

    def infer(self, inputs: tuple[TensorSpec, ...], attrs: dict[str, Any]) -> TensorSpec:
        """[B, units], float32 or int8."""
        if len(inputs) != 3 or any(len(spec.shape) != 2 for spec in inputs[:2]):
            raise ValueError(f"svdf_filter takes state, weight and bias, got {inputs}")
        state, weight, bias = inputs
        filters, memory = weight.shape
        real = state.dtype == "float32"
        kinds = ("float32",) * 2 if real else (state.dtype, "int32")
        if (weight.dtype, bias.dtype) != kinds or not real and attrs["multiplier"] is None:
            raise ValueError(
                f"svdf_filter: a state of {state.dtype} does not go with weights of "
                f"{weight.dtype} and a bias of {bias.dtype}"
            )
        rank = attrs["rank"]
        if rank < 1 or filters % rank or state.channels != filters * memory:
            raise ValueError(
                f"svdf_filter: {filters} filters of rank {rank} with {memory} values each do not "
                f"fit a state of {state.channels}"
            )
        if bias.shape != (filters // rank,):
            raise ValueError(
                f"svdf_filter: {bias.shape} is not the shape of {filters // rank} biases"
            )
        return TensorSpec((state.shape[0], filters // rank), "float32" if real else "int8")

    def macs(self, signature: Signature) -> int:
        return signature.inputs[0].elements

    def row_kernel(self, signature: Signature) -> tirx.PrimFunc:
        state, weight, bias = signature.inputs
        units, span = bias.elements, signature["rank"] * weight.shape[1]
        total = _total(state)
        zero = signature["state_zero_point"] if total == "int32" else 0.0
        finish = _requantized(signature, signature["output_zero_point"], signature.output.dtype)

        @script.row_kernel(signature)
        def svdf_filter_row(row, S, state_rows, W, B, O):
            for u in range(units):
                acc = T.alloc_buffer((1,), total)
                acc[0] = B[u]
                for i in range(span):
                    acc[0] += (
                        T.cast(
                            S[T.truncmod(row, state_rows) * (units * span) + u * span + i], total
                        )
                        - T.cast(zero, total)
                    ) * T.cast(W[u * span + i], total)
                O[u] = finish(acc[0])

        return svdf_filter_row


def _total(state: TensorSpec) -> str:
    """The type that sums are kept in."""
    return "float32" if state.dtype == "float32" else "int32"


def _requantized(signature: Signature, zero_point: int, dtype: str) -> Any:
    """From a sum to an element of `dtype`."""
    if dtype == "float32":
        return lambda total: total
    multiplier, shift = (tirx.const(signature[name], "int32") for name in ("multiplier", "shift"))

    def finish(total: Any) -> Any:
        scaled = fixed_point.multiply(total, multiplier, shift, "double") + zero_point
        return T.cast(fixed_point.clamp(scaled, *_LIMITS[dtype]), dtype)

    return finish
