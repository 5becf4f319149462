"""What other programs compute, and what devices this machine can run."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
import tflite
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from tests.oracles.onnx_session import session

Feed = dict[str, np.ndarray]

_NEEDED = {
    "host-c": ("cc",),
    "qemu": ("arm-none-eabi-gcc", "qemu-system-arm"),
}
MACHINES = ("qemu:mps2-an386", "qemu:mps2-an500", "qemu:mps3-an547")


def skip_unless_runnable(device: str) -> None:
    """Skips the running test where a tool that the device needs is not installed."""
    needed = _NEEDED.get(device.split(":")[0], ())
    missing = [tool for tool in needed if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


def tflite_micro(model: bytes, inputs: Iterable[np.ndarray]) -> list[np.ndarray]:
    """TensorFlow Lite Micro's first output for each value; skips without its package."""
    runtime = pytest.importorskip("tflite_micro").runtime
    interpreter = runtime.Interpreter.from_bytes(model, arena_size=1 << 20)
    outputs = []
    for array in inputs:
        interpreter.set_input(array, 0)
        interpreter.invoke()
        outputs.append(np.array(interpreter.get_output(0)))
    return outputs


def cut_before(model: bytes, operator: int) -> bytes:
    """The TFLite model whose one output is the first operand of an operator of `model`.

    `operator` is a number of the schema's BuiltinOperator; its first use counts.
    """
    content = bytearray(model)
    root = tflite.Model.GetRootAs(content, 0)
    graph = root.Subgraphs(0)
    operators = [graph.Operators(index) for index in range(graph.OperatorsLength())]
    found = next(
        op for op in operators if root.OperatorCodes(op.OpcodeIndex()).BuiltinCode() == operator
    )
    graph.OutputsAsNumpy()[0] = found.Inputs(0)  # in place: the array is a view of `content`
    return bytes(content)


def litert(model: Path | bytes, inputs: Iterable[np.ndarray]) -> list[np.ndarray]:
    """First output of LiteRT's reference kernels for each value of a model's one input."""
    content = model if isinstance(model, bytes) else model.read_bytes()
    interpreter = Interpreter(
        model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN_REF
    )
    interpreter.allocate_tensors()
    (source,) = interpreter.get_input_details()
    target = interpreter.get_output_details()[0]
    outputs = []
    for array in inputs:
        interpreter.set_tensor(source["index"], array)
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(target["index"]).copy())
    return outputs


def onnx_runtime(model: onnx.ModelProto, feeds: Iterable[Feed]) -> list[Feed]:
    """ONNX Runtime's outputs by name, node by node as the model is written."""
    run = session(model)
    names = [port.name for port in run.get_outputs()]
    return [dict(zip(names, run.run(None, feed))) for feed in feeds]


def extremes(shape: Sequence[int]) -> list[np.ndarray]:
    """Int8 inputs at the edges: the least, the greatest, other equal values, a chessboard."""
    chessboard = np.indices(shape).sum(axis=0) % 2 * 255 - 128
    values = [np.full(shape, value) for value in (-128, 127, 0, -1, 1)]
    return [array.astype(np.int8) for array in (*values, chessboard)]


def random_int8(shape: Sequence[int], count: int, seed: int = 0) -> list[np.ndarray]:
    """Int8 inputs drawn evenly from all values."""
    rng = np.random.default_rng(seed)
    return [rng.integers(-128, 128, shape).astype(np.int8) for _ in range(count)]


def only(outputs: Mapping[str, np.ndarray]) -> np.ndarray:
    """The one output of a network."""
    (output,) = outputs.values()
    return output


def relative_difference(output: np.ndarray, expected: np.ndarray) -> float:
    """Greatest difference over greatest expected magnitude."""
    return float(np.max(np.abs(output - expected)) / np.max(np.abs(expected)))
