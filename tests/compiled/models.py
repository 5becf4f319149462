"""Compiled models that tests of several files look at: each is compiled once in a process.

They are shared, so nothing of them is to be changed, and who tests compiling itself, or patches
something that it uses, compiles on his own.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import dero_tvm
from dero_tvm.driver.compiler import CompiledModel
from tests.models.small_networks import residual_network
from tests.models.tiny_models import residual

DIGITS = Path(__file__).resolve().parents[2] / "examples" / "models"
NETWORKS: dict[str, Callable[[], Any]] = {
    "digits_float32": lambda: DIGITS / "digits_float32.onnx",
    "digits_int8": lambda: DIGITS / "digits_int8.onnx",
    "residual": residual,
    "spatial residual": partial(residual, spatial=True),
    "residual module": residual_network,
}


def compiled(network: str, **options: Any) -> CompiledModel:
    """The model of one of `NETWORKS` with these options of `dero_tvm.compile`."""
    return _compiled(network, **{"dero": "stream", "target": "host", **options})


@cache
def _compiled(network: str, **options: Any) -> CompiledModel:
    return dero_tvm.compile(NETWORKS[network](), **options)
