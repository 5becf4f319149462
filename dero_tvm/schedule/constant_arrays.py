"""Constants of Relax modules as NumPy arrays, in TVM's own memory.

One model is read as a network a dozen times, rewritten in as many ways, and its weights are the
same in all of them.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np
from tvm.ir import GenericConst


class ConstantArray(NamedTuple):
    """A constant's values, which nobody may change, and what only equal ones have in common."""

    values: np.ndarray
    key: tuple[str, tuple[int, ...], bytes]


class ConstantArrays:
    """What constants are, each looked at once."""

    def __init__(self) -> None:
        self._known: dict[GenericConst, ConstantArray] = {}

    def __getitem__(self, constant: GenericConst) -> ConstantArray:
        found = self._known.get(constant)
        if found is None:
            found = self._known[constant] = _read(constant)
        return found


def _read(constant: GenericConst) -> ConstantArray:
    values = np.from_dlpack(constant.value)
    values.flags.writeable = False
    digest = hashlib.sha256(np.ascontiguousarray(values).data).digest()
    return ConstantArray(values, (str(values.dtype), values.shape, digest))
