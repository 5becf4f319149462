"""Runs networks unstreamed and streamed, each in exactly its arena, and compares all outputs.

    python benchmarks/guarded_arenas.py [--models FOLDER] [--only resnet50 ...]

Each network is compiled with every tensor whole, streamed, and streamed with the image handed over
by rows.  The generated C is compiled for this machine and runs on random inputs in arenas of the
planned size with guard bytes before and behind them; a changed guard or a bit that differs ends
the program.  "bound" is what no plan of the streamed network's cascades and order can go below.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnx
from published import FOLDER, NAMES, network

import dero_tvm
from dero_tvm.runners import run_host_c
from dero_tvm.runners.result import equal_outputs

COLUMNS = ("network", "whole", "streamed", "bound", "by rows", "bound", "inputs", "outputs")
_TIME_LIMIT = 600.0  # seconds a run


def main() -> None:
    """Print the table, a row as soon as its network has run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=Path, default=FOLDER, help="the folder of real models")
    parser.add_argument("--only", nargs="+", choices=NAMES, metavar="NETWORK")
    parser.add_argument("--inputs", type=int, default=2, help="random inputs that each runs on")
    arguments = parser.parse_args()
    print("| " + " | ".join(COLUMNS) + " |")
    print("|---" + "|---:" * (len(COLUMNS) - 2) + "|---|", flush=True)
    for name in arguments.only or NAMES:
        model = network(name, arguments.models)
        if model is not None:
            print(f"| {name} | " + " | ".join(row(model, arguments.inputs)) + " |", flush=True)


def row(model: Path | onnx.ModelProto, count: int) -> list[str]:
    """The cells of one network; SystemExit if a run leaves its arena or changes a bit."""
    whole = compiled(model, dero="none")
    streamed = compiled(model, dero="stream")
    by_rows = compiled(model, dero="stream", stream_input=True)
    rng = np.random.default_rng(0)
    inputs = [random_input(whole, rng) for _ in range(count)]
    expected = guarded(whole, inputs)
    for other in (streamed, by_rows):
        if not equal_outputs(expected, guarded(other, inputs)):
            raise SystemExit(f"{other.report.model}: outputs differ from those of whole tensors")
    cells = [f"{whole.report.arena_bytes:,}"]
    for other in (streamed, by_rows):
        cells += [f"{other.report.arena_bytes:,}", f"{other.report.lower_bound:,}"]
    return [*cells, str(count), "equal"]


def compiled(model: Path | onnx.ModelProto, **options) -> dero_tvm.CompiledModel:
    """With an int8 image that lies, or comes, channels last."""
    return dero_tvm.compile(model, input_layout="nhwc", integer_io=True, **options)


def random_input(model: dero_tvm.CompiledModel, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """One inference's inputs, of any value that their types have."""
    inputs = {}
    for port in model.archive.inputs:
        if np.dtype(port.dtype).kind in "iu":
            info = np.iinfo(port.dtype)
            value = rng.integers(info.min, info.max, port.shape, port.dtype, endpoint=True)
        else:
            value = rng.standard_normal(port.shape).astype(port.dtype)
        inputs[port.name] = value
    return inputs


def guarded(model: dero_tvm.CompiledModel, inputs: list[dict[str, np.ndarray]]):
    """The result of a run; SystemExit if a guard byte was changed."""
    result = run_host_c(model.archive, inputs, time_limit=_TIME_LIMIT)
    if not result.guard_ok:
        raise SystemExit(f"{model.report.model}: {result.guard_report}")
    return result


if __name__ == "__main__":
    main()
