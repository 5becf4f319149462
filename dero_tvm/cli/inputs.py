"""The inputs of ``tvmc run`` when they are made up."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dero_tvm.aot.archive import TensorInfo
from dero_tvm.boundary.input_arrays import random_inputs


def filled(ports: Sequence[TensorInfo], mode: str, seed: int) -> dict[str, np.ndarray]:
    """Inputs of one inference: ``random``, ``zeros`` or ``ones``."""
    if mode == "random":
        return random_inputs(ports, np.random.default_rng(seed))
    return {port.name: np.full(port.shape, mode == "ones", port.dtype) for port in ports}
