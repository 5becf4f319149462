"""Test accuracy of the bundled digit networks before and after compilation.

    python examples/digits_accuracy.py [--device host]

Before: ONNX Runtime.  After: the network as dero_tvm compiles it, run on `--device` (`host`,
`host-c`, `qemu:mps2-an500`, ...).  For the int8 network also the logits are compared: how many are
not the same number, and by how many steps of their scale.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

import dero_tvm

MODELS = Path(__file__).parent / "models"


def main() -> None:
    """Prints a line for each network: accuracy before and after, and how many answers changed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="host", help="where the compiled network runs")
    parser.add_argument(
        "--images", type=int, help="use the first so many test images (default: all)"
    )
    arguments = parser.parse_args()

    test = np.load(MODELS / "digits_test.npz")
    images, labels = test["images"][: arguments.images], test["labels"][: arguments.images]
    print(f"{len(images)} test images, compiled network on {arguments.device}")
    for name in ("digits_float32.onnx", "digits_int8.onnx"):
        before = reference(MODELS / name, images)
        after = compiled(MODELS / name, images, arguments.device)
        answers = before.argmax(axis=1), after.argmax(axis=1)
        print(
            f"{name:20} before {np.mean(answers[0] == labels):7.2%}   "
            f"after {np.mean(answers[1] == labels):7.2%}   "
            f"answers changed {np.count_nonzero(answers[0] != answers[1])}"
        )
    steps = differences(before, after, MODELS / name)
    print(f"int8 logits: {np.mean(steps > 0):.2%} unequal, by {steps.max()} at most")


def reference(model: Path, images: np.ndarray) -> np.ndarray:
    """The logits that ONNX Runtime finds, one image at a time: the model has a batch of one."""
    session = onnxruntime.InferenceSession(model)
    return np.concatenate([session.run(None, {"image": image[None]})[0] for image in images])


def compiled(model: Path, images: np.ndarray, device: str, dero: str = "stream") -> np.ndarray:
    """The logits that the compiled network finds on `device`."""
    program = dero_tvm.compile(model, target="host", dero=dero)
    results = program.measure([{"image": image[None]} for image in images], device).outputs
    return np.concatenate([result["logits"] for result in results])


def differences(before: np.ndarray, after: np.ndarray, model: Path) -> np.ndarray:
    """How far the logits of a quantized model lie apart, in steps of their scale."""
    graph = onnx.load(model).graph
    (node,) = (node for node in graph.node if "logits" in node.output)
    (scale,) = (numpy_helper.to_array(t) for t in graph.initializer if t.name == node.input[1])
    return np.rint(np.abs(before.astype(np.float64) - after) / scale).astype(int)


if __name__ == "__main__":
    main()
