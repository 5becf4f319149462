"""A layer of gated recurrent units: a loop over time, with a hidden state.

    r, z = sigmoid(W x + b + R h + c)
    n = tanh(W x + b + r (R h + c))     with `reset_after`, as PyTorch; else
    n = tanh(W x + b + R (r h) + c)
    h' = (1 - z) n + z h

for every step x of a sequence, gates in the order r, z, n.
"""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.script import tirx as T

from . import script
from .part import typed
from .recurrence import Recurrence, logistic
from .registry import REQUIRED, Operator, OperatorClass, register
from .signature import Signature, TensorSpec

_GATES = 3


@register
class Gru(Operator):
    """The hidden states of a GRU over a sequence, float32.

    ``data`` is [B, T, I], with `time_major` [T, B, I]; ``hidden`` is [B, H]; ``input_weight`` is
    [3 * H, I], ``recurrent_weight`` [3 * H, H], ``bias`` and ``recurrent_bias`` have 3 * H
    elements.  The result has the states of all steps in the data's order of axes with `sequence`,
    otherwise that of the last step, [B, H], in one row.  With `reverse`, steps run from the last
    to the first.
    """

    name = "gru"
    memory_class = OperatorClass.OPAQUE
    arguments = (*("data", "hidden", "input_weight", "recurrent_weight", "bias", "recurrent_bias"),)
    read_by_rows = ()
    defaults = {"time_major": False, "sequence": REQUIRED, "reverse": False, "reset_after": True}

    def infer(self, inputs: tuple[TensorSpec, ...], attrs: dict[str, Any]) -> TensorSpec:
        """One row."""
        if len(inputs) != 6 or any(spec.dtype != "float32" for spec in inputs):
            raise ValueError(f"gru takes six tensors of float32, got {inputs}")
        sizes = Recurrence.of("gru", inputs, attrs, states=1, gates=_GATES)
        if inputs[5].shape != inputs[4].shape:
            raise ValueError(f"gru: the two biases have the shapes {[s.shape for s in inputs[4:]]}")
        return TensorSpec((sizes.hidden_elements,), "float32")

    def scratch_bytes(self, signature: Signature) -> int:
        """The hidden state that a step reads, and what reset gates leave of it."""
        return 2 * 4 * self._sizes(signature).states

    def macs(self, signature: Signature) -> int:
        sizes = self._sizes(signature)
        weights = signature.inputs[2].elements + signature.inputs[3].elements
        return sizes.steps * sizes.batch * weights

    @staticmethod
    def _sizes(signature: Signature) -> Recurrence:
        return Recurrence.of("gru", signature.inputs, signature.attrs, states=1, gates=_GATES)

    def row_kernel(self, signature: Signature) -> tirx.PrimFunc:
        g = self._sizes(signature)
        steps, batch, width, units, states = g.steps, g.batch, g.width, g.units, g.states
        data_row = signature.inputs[0].row_stride
        after = 1 if signature["reset_after"] else 0

        @script.row_kernel(signature)
        def gru_row(row, X, H0, W, R, B, D, Y, S):
            H = T.decl_buffer((states,), "float32", data=typed(S, 0, "float32"))
            # What the new gate's recurrent weights see, or have seen.
            N = T.decl_buffer((states,), "float32", data=typed(S, states * 4, "float32"))
            for e in range(states):
                H[e] = H0[e]
            for s in range(steps):
                for b in range(batch):
                    for u in range(units):
                        reset = T.alloc_buffer((2,), "float32")
                        reset[0] = B[u] + D[u]
                        reset[1] = D[2 * units + u]
                        for i in range(width):
                            reset[0] += X[g.at(s, b) * data_row + i] * W[u * width + i]
                        for i in range(units):
                            reset[0] += H[b * units + i] * R[u * units + i]
                        if after == 1:
                            for i in range(units):
                                reset[1] += H[b * units + i] * R[(2 * units + u) * units + i]
                            N[b * units + u] = logistic(reset[0]) * reset[1]
                        else:
                            N[b * units + u] = logistic(reset[0]) * H[b * units + u]
                    for u in range(units):
                        update = T.alloc_buffer((2,), "float32")
                        update[0] = B[units + u] + D[units + u]
                        update[1] = B[2 * units + u]
                        for i in range(width):
                            update[0] += X[g.at(s, b) * data_row + i] * W[(units + u) * width + i]
                            update[1] += (
                                X[g.at(s, b) * data_row + i] * W[(2 * units + u) * width + i]
                            )
                        for i in range(units):
                            update[0] += H[b * units + i] * R[(units + u) * units + i]
                        if after == 1:
                            update[1] += N[b * units + u]
                        else:
                            update[1] += D[2 * units + u]
                            for i in range(units):
                                update[1] += N[b * units + i] * R[(2 * units + u) * units + i]
                        update[0] = logistic(update[0])
                        Y[g.place(s, b, u)] = (T.float32(1) - update[0]) * T.tanh(
                            update[1]
                        ) + update[0] * H[b * units + u]
                for b in range(batch):
                    for u in range(units):
                        H[b * units + u] = Y[g.place(s, b, u)]

        return gru_row
