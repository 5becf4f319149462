"""Networks of Keras, converted to one type or another, beside LiteRT's reference kernels."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

import dero_tvm
from dero_tvm import UserError

from .measured import compiled, refusal, rewritten

_OPTIMIZED = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
_FIRST_VERSIONS = (schema.BuiltinOperator.DEPTH_TO_SPACE, schema.BuiltinOperator.TILE)
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
    reference = OpResolverType.BUILTIN_REF
    for of, kernels in ((model, reference), (_registered(model), reference), (model, _OPTIMIZED)):
        try:
            interpreter = _interpreter(of, kernels)
            break
        except ValueError:  # there is no reference kernel of some operator or version
            continue
    (source,) = interpreter.get_input_details()
    x = _drawn(tuple(source["shape"]), source["dtype"])
    interpreter.set_tensor(source["index"], x)
    interpreter.invoke()
    outputs = interpreter.get_output_details()
    if source["dtype"] == np.int16 and (found := _by_tflite_micro(model, x, len(outputs))):
        return x, found
    return x, [interpreter.get_tensor(output["index"]).copy() for output in outputs]


def _by_tflite_micro(model: bytes, x: np.ndarray, outputs: int) -> list[np.ndarray] | None:
    """Of int16, where TensorFlow Lite Micro has arithmetic of its own; None without it."""
    try:
        from tflite_micro.python.tflite_micro import runtime

        interpreter = runtime.Interpreter.from_bytes(model, arena_size=1 << 24)
        interpreter.set_input(x, 0)
        interpreter.invoke()
    except (ImportError, RuntimeError):  # it is not installed, or lacks an operator
        return None
    return [np.array(interpreter.get_output(number)) for number in range(outputs)]


def _registered(model: bytes) -> bytes:
    """The same with the versions of operators under which LiteRT has their reference kernels."""
    copy = schema.ModelT.InitFromPackedBuf(bytearray(model))
    for code in copy.operatorCodes:
        if code.builtinCode in _FIRST_VERSIONS:
            code.version = 1
    builder = flatbuffers.Builder()
    builder.Finish(copy.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _interpreter(model: bytes, kernels: OpResolverType) -> Interpreter:
    interpreter = Interpreter(model_content=model, experimental_op_resolver_type=kernels)
    interpreter.allocate_tensors()
    return interpreter


def _drawn(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    rng = np.random.default_rng(1)
    if np.issubdtype(dtype, np.integer):
        limits = np.iinfo(dtype)
        return rng.integers(limits.min, limits.max, shape, endpoint=True).astype(dtype)
    return rng.standard_normal(shape).astype(dtype)
