"""Arena and accuracy of the networks that ship with the onnx package, weights random.

    python benchmarks/light_models.py [--models light_squeezenet ...] [--device host] [--dero ...]

For each network: arena bytes with every tensor whole in written order ("original"), for the plain
network without residuals ("plain"), and after each `--dero` rewrite; seconds that the last
compilation took; the greatest difference from ONNX Runtime relative to its greatest output, and
whether all rewrites gave the same bits as `none`.  All networks together take about ten minutes
and, for VGG-19, 5 GB of memory on `host`.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # tests is not installed

import dero_tvm
from tests.models.light_models import LIGHT_MODELS, light_model


def main() -> None:
    """Prints the table, a row as soon as its network is done."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=LIGHT_MODELS, default=LIGHT_MODELS)
    parser.add_argument("--device", default="host", help="where compiled networks run")
    parser.add_argument(
        "--dero", nargs="+", default=["none", "accumulate"], help="rewrites to compile with"
    )
    arguments = parser.parse_args()
    rewrites = [way for way in arguments.dero if way != "none"]
    columns = ["original", "plain", *rewrites, "compile s", "run s", "difference", "same bits"]
    print(f"{'network':20}" + "".join(f"{column:>13}" for column in columns), flush=True)
    for name in arguments.models:
        cells = measure(name, arguments.dero, arguments.device)
        print(f"{name:20}" + "".join(f"{cell:>13}" for cell in cells), flush=True)


def measure(name: str, rewrites: list[str], device: str) -> list[str]:
    """The row of one network, as text."""
    model = light_model(name)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    weights = {tensor.name for tensor in model.graph.initializer}
    rng = np.random.default_rng(1)
    feed = {
        port.name: rng.standard_normal(port.shape, "float32")
        for port in session.get_inputs()
        if port.name not in weights
    }
    (expected,) = session.run(None, feed)
    del session
    arenas, outputs = [], []
    for dero in rewrites:
        start = time.monotonic()
        compiled = dero_tvm.compile(model, dero=dero)
        compile_seconds = time.monotonic() - start
        report = compiled.report
        if dero != "none":
            arenas.append(report.arena_bytes)
        start = time.monotonic()
        (output,) = compiled.run(feed, device).values()
        run_seconds = time.monotonic() - start
        outputs.append(output)
    difference = np.max(np.abs(outputs[-1] - expected)) / np.max(np.abs(expected))
    same = all(np.array_equal(output, outputs[0]) for output in outputs)
    return [
        f"{report.whole_bytes:,}",
        f"{report.plain_bytes:,}",
        *(f"{arena:,}" for arena in arenas),
        f"{compile_seconds:.1f}",
        f"{run_seconds:.1f}",
        f"{difference:.1e}",
        "yes" if same else "NO",
    ]


if __name__ == "__main__":
    main()
