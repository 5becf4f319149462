"""The inputs of ``tvmc run`` when they are made up."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dero_tvm.aot.archive import TensorInfo


def filled(ports: Sequence[TensorInfo], mode: str, seed: int) -> dict[str, np.ndarray]:
    """Inputs of one inference: ``random``, ``zeros`` or ``ones``."""
    rng = np.random.default_rng(seed)
    values = {}
    for port in ports:
        dtype = np.dtype(port.dtype)
        if mode != "random":
            values[port.name] = np.full(port.shape, mode == "ones", dtype=dtype)
        elif dtype.kind in "iu":
            info = np.iinfo(dtype)
            values[port.name] = rng.integers(info.min, info.max, port.shape, dtype, endpoint=True)
        elif dtype.kind == "b":
            values[port.name] = rng.integers(0, 2, port.shape).astype(dtype)
        else:
            values[port.name] = rng.standard_normal(port.shape).astype(dtype)
    return values
