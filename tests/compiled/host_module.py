"""Compiling and running a Relax module on the host, for comparison with other programs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import tvm
from tvm import relax

_TARGET = {"kind": "llvm", "opt-level": 0}  # most modules run once: optimizing them takes longer


def host_function(module: tvm.IRModule) -> Callable[..., list[np.ndarray]]:
    """``main`` as a function of arrays, in the order of its parameters; always gives a list."""
    machine = relax.VirtualMachine(tvm.compile(module, tvm.target.Target(_TARGET)), tvm.cpu())

    def run(*inputs: np.ndarray) -> list[np.ndarray]:
        result = machine["main"](*[tvm.runtime.tensor(np.ascontiguousarray(x)) for x in inputs])
        # A single tensor also answers to iteration, so ask for the type.
        if isinstance(result, tvm.runtime.Tensor):
            return [result.numpy()]
        return [item.numpy() for item in result]

    return run


def run_on_host(module: tvm.IRModule, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The outputs of ``main`` on one set of inputs."""
    return host_function(module)(*inputs)
