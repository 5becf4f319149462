"""A layer of long short-term memory: a loop over time, with a hidden and a cell state.

    i, f, o = sigmoid(W x + R h + b)        g = tanh(W x + R h + b)
    c' = f c + i g                          h' = o tanh(c')

for every step x of a sequence, gates in the order i, f, g, o.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tvm import tirx
from tvm.script import tirx as T

from . import fixed_point, script
from .part import typed
from .recurrence import Recurrence, logistic
from .registry import REQUIRED, Operator, OperatorClass, register
from .sigmoid_table import sigmoid, tanh
from .signature import Signature, TensorSpec

_GATES = 4
_INTEGERS = ["int8", "int8", "int16", "int8", "int8", "int32", "int32", "int32", "uint16"]
_INT16 = (-32768, 32767)


@register
class Lstm(Operator):
    """The states of an LSTM over a sequence, packed into bytes (see `part`).

    ``data`` is [B, T, I], with `time_major` [T, B, I]; ``hidden`` and ``cell`` are [B, H];
    ``input_weight`` is [4 * H, I], ``recurrent_weight`` [4 * H, H], ``bias`` [4 * H].  The result
    has the last cell state, then the hidden states: with `sequence` those of all steps, in the
    data's order of axes, otherwise the last alone; `lstm_parts` gives their places.  With
    `reverse`, steps run from the last to the first.

    float32: `cell_clip` limits the cell state to ``[-cell_clip, cell_clip]``.

    int8: data, hidden states and weights are int8, the bias int32, the cell state int16, which
    stands for ``cell * 2**cell_power`` and is limited by an integer `cell_clip`.  ``multiplier``
    and ``shift`` (int32, 8 entries) are the factors of the gates' sums with the data and of those
    with the hidden state; ``table`` is `sigmoid_table`.  `products` are the (multiplier, shift)
    of ``f c``, ``i g`` and ``o tanh(c')``.  The arithmetic is TensorFlow Lite Micro's
    (``tensorflow/lite/micro/kernels/lstm_eval.h``).
    """

    name = "lstm"
    memory_class = OperatorClass.OPAQUE
    arguments = (
        *("data", "hidden", "cell", "input_weight", "recurrent_weight", "bias"),
        *("multiplier", "shift", "table"),
    )
    read_by_rows = ()
    defaults = {
        "time_major": False,
        "sequence": REQUIRED,
        "reverse": False,
        "cell_clip": None,
        "input_zero_point": 0,
        "hidden_zero_point": 0,
        "cell_power": None,
        "products": None,
    }

    def infer(self, inputs: tuple[TensorSpec, ...], attrs: dict[str, Any]) -> TensorSpec:
        """A row of int8."""
        return TensorSpec((lstm_parts(inputs, attrs).bytes,), "int8")

    def scratch_bytes(self, signature: Signature) -> int:
        """The hidden state that a step reads."""
        parts = lstm_parts(signature.inputs, signature.attrs)
        return parts.loop.states * parts.hidden_bytes

    def macs(self, signature: Signature) -> int:
        loop = lstm_parts(signature.inputs, signature.attrs).loop
        weights = signature.inputs[3].elements + signature.inputs[4].elements
        return loop.steps * loop.batch * weights

    def row_kernel(self, signature: Signature) -> tirx.PrimFunc:
        build = _float_kernel if signature.inputs[0].dtype == "float32" else _int8_kernel
        return build(signature, lstm_parts(signature.inputs, signature.attrs))


@dataclass(frozen=True)
class LstmParts:
    """Where in the packed result its parts lie: the cell state first."""

    loop: Recurrence
    cell_bytes: int  # of one element
    hidden_bytes: int

    @property
    def hidden_offset(self) -> int:
        """Bytes before the hidden states."""
        return self.loop.states * self.cell_bytes

    @property
    def bytes(self) -> int:
        """Bytes of the packed result."""
        return self.hidden_offset + self.loop.hidden_elements * self.hidden_bytes


def lstm_parts(inputs: tuple[TensorSpec, ...], attrs: Mapping[str, Any]) -> LstmParts:
    """The parts of a call of `lstm`.  Raises ``ValueError`` if operands do not fit."""
    kinds = [spec.dtype for spec in inputs]
    integer = kinds[:1] == ["int8"]
    if kinds != (_INTEGERS if integer else ["float32"] * 6):
        raise ValueError(
            f"lstm takes six float32 or {', '.join(_INTEGERS)}; got {', '.join(kinds)}"
        )
    if integer and None in (attrs["cell_power"], attrs["products"]):
        raise ValueError("lstm: int8 needs cell_power and products")
    loop = Recurrence.of("lstm", inputs, attrs, states=2, gates=_GATES)
    return LstmParts(loop, inputs[2].itemsize, inputs[1].itemsize)


def _float_kernel(signature: Signature, parts: LstmParts) -> tirx.PrimFunc:
    g = parts.loop
    steps, batch, width, units, states = g.steps, g.batch, g.width, g.units, g.states
    place, hidden_elements = parts.hidden_offset, g.hidden_elements
    data_row = signature.inputs[0].row_stride
    clip = signature["cell_clip"]
    low, high = (None, None) if clip is None else (-clip, clip)

    @script.row_kernel(signature)
    def lstm_row(row, X, H0, C0, W, R, B, P, S):
        C = T.decl_buffer((states,), "float32", data=typed(P, 0, "float32"))
        Y = T.decl_buffer((hidden_elements,), "float32", data=typed(P, place, "float32"))
        H = T.decl_buffer((states,), "float32", data=typed(S, 0, "float32"))
        for e in range(states):
            C[e] = C0[e]
            H[e] = H0[e]
        for s in range(steps):
            for b in range(batch):
                for u in range(units):
                    gates = T.alloc_buffer((4,), "float32")
                    for k in range(4):
                        gates[k] = B[k * units + u]
                        for i in range(width):
                            gates[k] += (
                                X[g.at(s, b) * data_row + i] * W[(k * units + u) * width + i]
                            )
                        for i in range(units):
                            gates[k] += H[b * units + i] * R[(k * units + u) * units + i]
                    kept: T.let[T.float32] = logistic(gates[1]) * C[b * units + u]
                    gained: T.let[T.float32] = logistic(gates[0]) * T.tanh(gates[2])
                    C[b * units + u] = fixed_point.clamp(kept + gained, low, high, "float32")
                    Y[g.place(s, b, u)] = logistic(gates[3]) * T.tanh(C[b * units + u])
            for b in range(batch):
                for u in range(units):
                    H[b * units + u] = Y[g.place(s, b, u)]

    return lstm_row


def _int8_kernel(signature: Signature, parts: LstmParts) -> tirx.PrimFunc:
    g = parts.loop
    steps, batch, width, units, states = g.steps, g.batch, g.width, g.units, g.states
    place, hidden_elements = parts.hidden_offset, g.hidden_elements
    data_row = signature.inputs[0].row_stride
    zero_in, zero_hidden = signature["input_zero_point"], signature["hidden_zero_point"]
    power, clip = signature["cell_power"], signature["cell_clip"]
    low, high = _INT16 if clip is None else (-clip, clip)
    forget, gain, give = signature["products"]

    @script.row_kernel(signature)
    def lstm_row(row, X, H0, C0, W, R, B, M, N, F, P, H):
        C = T.decl_buffer((states,), "int16", data=typed(P, 0, "int16"))
        Y = T.decl_buffer((hidden_elements,), "int8", data=typed(P, place, "int8"))
        for e in range(states):
            C[e] = C0[e]
            H[e] = H0[e]
        for s in range(steps):
            for b in range(batch):
                for u in range(units):
                    gates = T.alloc_buffer((4,), "int32")
                    for k in range(4):
                        given = T.alloc_buffer((1,), "int32")
                        past = T.alloc_buffer((1,), "int32")
                        given[0] = B[k * units + u]
                        for i in range(width):
                            given[0] += (
                                T.cast(X[g.at(s, b) * data_row + i], "int32") - zero_in
                            ) * T.cast(W[(k * units + u) * width + i], "int32")
                        past[0] = 0
                        for i in range(units):
                            past[0] += (T.cast(H[b * units + i], "int32") - zero_hidden) * T.cast(
                                R[(k * units + u) * units + i], "int32"
                            )
                        given[0] = _scaled(given[0], M[k], N[k])
                        past[0] = _scaled(past[0], M[k + 4], N[k + 4])
                        gates[k] = fixed_point.clamp(given[0] + past[0], *_INT16)
                    for k in range(4):
                        if k == 2:
                            gates[k] = tanh(gates[k], F, -12)
                        else:
                            gates[k] = sigmoid(gates[k], F)
                    kept = T.alloc_buffer((1,), "int32")
                    gained = T.alloc_buffer((1,), "int32")
                    kept[0] = _scaled(
                        gates[1] * T.cast(C[b * units + u], "int32"), forget[0], forget[1]
                    )
                    gained[0] = _scaled(gates[0] * gates[2], gain[0], gain[1])
                    kept[0] = fixed_point.clamp(kept[0] + gained[0], *_INT16)
                    kept[0] = fixed_point.clamp(kept[0], low, high)
                    C[b * units + u] = T.cast(kept[0], "int16")
                    kept[0] = tanh(kept[0], F, power)
                    kept[0] = (
                        fixed_point.multiply(kept[0] * gates[3], give[0], give[1], "double")
                        + zero_hidden
                    )
                    Y[g.place(s, b, u)] = fixed_point.saturate(kept[0], None, None)
            for b in range(batch):
                for u in range(units):
                    H[b * units + u] = Y[g.place(s, b, u)]

    return lstm_row


def _scaled(value: Any, multiplier: Any, shift: Any) -> Any:
    """A product with a factor, saturated to int16."""
    return fixed_point.clamp(fixed_point.multiply(value, multiplier, shift, "double"), *_INT16)
