"""Pad and Tile as Relax's own operators, which later passes know.

TVM's importer makes TIR functions of them, which no pass can look into.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tvm
from tvm import relax
from tvm.ir import Call, GenericConst

_MODES = {b"constant": "constant", b"reflect": "reflect", b"edge": "replicate", b"wrap": "circular"}


def pad(inputs: Sequence[relax.Expr | None], attrs: Mapping[str, Any]) -> relax.Expr | None:
    """The converted operator; None to leave it to TVM's importer.

    That is done where amounts are computed or negative, or attributes hold what became operands in
    operator set 11.
    """
    data, amounts, value, axes = (_operand(inputs, index) for index in range(4))
    value = _real(value)
    mode = _MODES.get(attrs.get("mode", b"constant"))
    if mode is None or not isinstance(amounts, GenericConst):
        return None
    if any(o is not None and not isinstance(o, GenericConst) for o in (value, axes)):
        return None
    rank = len(data.ty.shape)
    before, after = np.split(amounts.value.numpy(), 2)
    if min(*before, *after) < 0:
        return None
    width = np.zeros((rank, 2), np.int64)
    chosen = np.arange(rank) if axes is None else axes.value.numpy()
    width[chosen, 0], width[chosen, 1] = before, after
    fill = 0.0 if value is None or value.value.numpy().size == 0 else value.value.numpy().item()
    return relax.op.nn.pad(data, width.reshape(-1).tolist(), mode, float(fill))


def tile(inputs: Sequence[relax.Expr | None]) -> relax.Expr | None:
    """The converted operator; None, where repeats are computed, to leave it to TVM's importer."""
    data, repeats = inputs[:2]
    if not isinstance(repeats, GenericConst):
        return None
    return relax.op.tile(data, repeats.value.numpy().tolist())


def _real(value: Any) -> Any:
    """A constant behind DequantizeLinear, as quantizers write the value too, as its float."""
    if not isinstance(value, Call) or value.op != tvm.ir.Op.get("relax.dequantize"):
        return value
    if not all(isinstance(argument, GenericConst) for argument in value.args):
        return value
    quantized, scale, zero_point = (argument.value.numpy() for argument in value.args)
    return relax.const((quantized.astype("int32") - zero_point).astype("float32") * scale)


def _operand(inputs: Sequence[relax.Expr | None], index: int) -> Any:
    return inputs[index] if index < len(inputs) else None
