"""Test accuracy of the bundled digit networks before and after compilation.

    python examples/digits_accuracy.py [--device host]

Before: ONNX Runtime.  After: the network as dero_tvm compiles it, residual additions accumulated
in place, run on `--device` (`host`, `host-c`, `qemu:mps2-an500`, ...).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnxruntime

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
        print(
            f"{name:20} before {np.mean(before == labels):7.2%}   "
            f"after {np.mean(after == labels):7.2%}   "
            f"answers changed {np.count_nonzero(before != after)}"
        )


def reference(model: Path, images: np.ndarray) -> np.ndarray:
    """The classes that ONNX Runtime finds, one image at a time: the model has a batch of one."""
    session = onnxruntime.InferenceSession(model)
    logits = [session.run(None, {"image": image[None]})[0] for image in images]
    return np.concatenate(logits).argmax(axis=1)


def compiled(model: Path, images: np.ndarray, device: str) -> np.ndarray:
    """The classes that the compiled network finds on `device`."""
    program = dero_tvm.compile(model, target="host", dero="accumulate")
    results = program.measure([{"image": image[None]} for image in images], device).outputs
    return np.concatenate([result["logits"] for result in results]).argmax(axis=1)


if __name__ == "__main__":
    main()
