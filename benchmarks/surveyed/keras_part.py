"""Networks of Keras, converted to one type or another, beside LiteRT's reference kernels."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

import dero_tvm
from dero_tvm import UserError

from .measured import compiled, refusal, rewritten

_ROOT = Path(__file__).resolve().parent.parent.parent


def measure(
    name: str, dtype: str, *, quick: bool = False, keras_python: str = sys.executable
) -> dict[str, Any]:
    """What becomes of a network converted to one of `TYPES`; see `measured`."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.tflite"
        module = "benchmarks.surveyed.keras_files"
        command = [keras_python, "-m", module, name, dtype, str(file)]
        done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True)
        if done.returncode:
            words = done.stderr.strip().splitlines()[-1:] or [""]
            return {"status": "not converted", "reason": words[0][-300:]}
        model = file.read_bytes()
    try:
        loaded = dero_tvm.load(model)
        if quick:
            return rewritten(loaded)
        x, expected = _by_litert(model)
        return compiled(model, {loaded.inputs[0].name: x}, expected)
    except UserError as error:
        return refusal(error)


def _by_litert(model: bytes) -> tuple[np.ndarray, list[np.ndarray]]:
    """A random input, and the outputs."""
    interpreter = Interpreter(
        model_content=model, experimental_op_resolver_type=OpResolverType.BUILTIN_REF
    )
    interpreter.allocate_tensors()
    (source,) = interpreter.get_input_details()
    x = _drawn(tuple(source["shape"]), source["dtype"])
    interpreter.set_tensor(source["index"], x)
    interpreter.invoke()
    outputs = interpreter.get_output_details()
    return x, [interpreter.get_tensor(output["index"]).copy() for output in outputs]


def _drawn(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    rng = np.random.default_rng(1)
    if np.issubdtype(dtype, np.integer):
        limits = np.iinfo(dtype)
        return rng.integers(limits.min, limits.max, shape, endpoint=True).astype(dtype)
    return rng.standard_normal(shape).astype(dtype)
