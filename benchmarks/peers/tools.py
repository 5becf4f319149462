"""The tools, and how each is asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import dero_tvm
from dero_tvm.runners import run_host_c

from .environment import Environment
from .networks import Network, random_input
from .result import Answer

_TIME_LIMIT = 900.0  # seconds a question


@dataclass(frozen=True)
class Own:
    """What this project made of a network, with which the others are compared."""

    answer: Answer
    image: np.ndarray
    output: np.ndarray


def own(network: Network) -> Own:
    """Compiled, and run in exactly its arena with guard bytes around it.

    Inputs and outputs have the types of the file, as with every other tool: an ONNX network that
    was quantized takes and gives float32.
    """
    model = dero_tvm.compile(network.path)
    (port,) = model.archive.inputs
    image = random_input(port.shape, port.dtype)
    result = run_host_c(model.archive, [{port.name: image}])
    (output,) = result.outputs[0].values()
    enough = "yes" if result.guard_ok else f"no: {result.guard_report}"
    return Own(Answer(model.report.arena_bytes, enough, "reference"), image, output)


Ask = Callable[[Environment, Network, Own, Path], Answer]


@dataclass(frozen=True)
class Tool:
    """Another tool: what pip installs, the networks that it reads, what its figure counts."""

    name: str
    url: str
    requirements: tuple[str, ...]
    package: str  # whose version is stated; "" if it is installed beside this project
    forms: frozenset[str]
    counts: str
    ask: Ask


def _tflite_micro(environment: Environment, network: Network, own: Own, folder: Path) -> Answer:
    image, output = folder / "image.npy", folder / "output.npy"
    np.save(image, own.image)
    paths = [str(network.path), str(image), str(output)]
    said = environment.ask("tflite_micro_arena.py", paths, _TIME_LIMIT)
    enough = "yes" if said["enough"] else "no"
    return Answer(said["bytes"], enough, compared(np.load(output), own.output))


def _planned_by(program: str, *arguments: Callable[[Network, Path], Path]) -> Ask:
    """Asks a program for the bytes of a plan; it takes what `arguments` make of the network."""

    def ask(environment: Environment, network: Network, own: Own, folder: Path) -> Answer:
        words = [str(argument(network, folder)) for argument in arguments]
        return Answer(environment.ask(program, words, _TIME_LIMIT)["bytes"])

    return ask


def _model(network: Network, folder: Path) -> Path:
    return network.path


def _emx(environment: Environment, network: Network, own: Own, folder: Path) -> Answer:
    image, output = folder / "image.npy", folder / "output.npy"
    np.save(image, own.image)
    paths = [str(network.path), str(image), str(output), str(folder)]
    said = environment.ask("emx_c.py", paths, _TIME_LIMIT)
    return Answer(said["bytes"], "yes", compared(np.load(output), own.output))


def compared(output: np.ndarray, expected: np.ndarray) -> str:
    """How far two outputs are apart."""
    output = output.reshape(expected.shape)
    if np.array_equal(output, expected):
        return "equal"
    if expected.dtype.kind == "f":
        largest = max(float(np.abs(expected).max()), 1e-30)
        return f"within {float(np.abs(output - expected).max()) / largest:.0e}"
    apart = np.abs(output.astype(int) - expected.astype(int))
    return f"{np.count_nonzero(apart)} of {apart.size} differ, by {apart.max()} at most"


TOOLS = (
    Tool(
        "TensorFlow Lite Micro",
        "https://github.com/tensorflow/tflite-micro",
        ("--pre", "tflite-micro"),
        "tflite-micro",
        frozenset({"int8 TFLite"}),
        "the head of the arena that its allocator records: activations and scratch; enough: "
        "whether an arena of the recorded total is",
        _tflite_micro,
    ),
    Tool(
        "Vela (Ethos-U55 NPU)",
        "https://gitlab.arm.com/artificial-intelligence/ethos-u/ethos-u-vela",
        ("ethos-u-vela",),
        "ethos-u-vela",
        frozenset({"int8 TFLite"}),
        "the SRAM of its summary, for another processor: no direct comparison",
        _planned_by("vela_sram.py", _model, lambda network, folder: folder),
    ),
    Tool(
        "ExecuTorch, Cortex-M",
        "https://github.com/pytorch/executorch",
        ("executorch", "tosa-tools", "onnx2torch", "torch>=2.9,<2.14"),
        "executorch",
        frozenset({"int8"}),
        "the planned buffers of its program, which it quantizes by itself from the float32 network",
        _planned_by("executorch_plan.py", lambda network, folder: network.float32),
    ),
    Tool(
        "onnxsim's planner",
        "https://github.com/onnxsim/onnxsim",
        ("onnxsim>=0.8",),
        "onnxsim",
        frozenset({"float32"}),
        "the arena that it plans; it has no kernels to run in it",
        _planned_by("onnxsim_plan.py", _model),
    ),
    Tool(
        "TVM, in place and planned",
        "https://tvm.apache.org",
        (),
        "",
        frozenset({"float32"}),
        "the storages of its static planner, and the buffers inside its largest kernel",
        _planned_by("tvm_plan.py", _model),
    ),
    Tool(
        "emx-onnx-cgen",
        "https://github.com/emmtrix/emx-onnx-cgen",
        ("emx-onnx-cgen",),
        "emx-onnx-cgen",
        frozenset({"float32"}),
        "the most that its C has allocated at once when run: heap, statics, stack, input, output",
        _emx,
    ),
)
