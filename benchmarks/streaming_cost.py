"""What streaming costs in time and in code, as a Markdown table.

    python benchmarks/streaming_cost.py [--target BOARD] [--device qemu:mps2-an500] MODEL ...

Each model is compiled with every tensor whole (`--dero none`) and streamed (`--dero stream`), with
the same kernels (the target's; by default the portable ones), and both run on one random input on
the device.  Instructions are those of one inference; code is the section .text of the generated C,
without weights and C library.  The outputs are compared bit by bit.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import dero_tvm
from dero_tvm.runners import RunResult
from dero_tvm.runners.result import equal_outputs

COLUMNS = ("model", "arena", "streamed", "instructions", "streamed", "", "code", "streamed", "")


def main() -> None:
    """Print the table, a row as soon as its model has run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL")
    parser.add_argument("--target", default="host", help="the board whose kernels are used")
    parser.add_argument("--device", default="qemu:mps2-an500", help="an emulated board")
    arguments = parser.parse_args()
    print("| " + " | ".join(COLUMNS) + " |")
    print("|---" + "|---:" * (len(COLUMNS) - 1) + "|", flush=True)
    for path in arguments.models:
        print(
            f"| {path.stem} | " + " | ".join(row(path, arguments.target, arguments.device)) + " |",
            flush=True,
        )


def row(path: Path, target: str, device: str) -> list[str]:
    """The cells of one model."""
    whole, streamed = (
        dero_tvm.compile(path, target=target, dero=dero, integer_io=True)
        for dero in ("none", "stream")
    )
    rng = np.random.default_rng(0)
    inputs = {
        port.name: rng.integers(-128, 128, port.shape).astype(np.int8)
        if port.dtype == "int8"
        else rng.random(port.shape).astype(port.dtype)
        for port in whole.archive.inputs
    }
    results = [model.measure([inputs], device) for model in (whole, streamed)]
    if not equal_outputs(*results):
        raise SystemExit(f"{path}: the outputs differ")
    cells = [f"{model.report.arena_bytes:,}" for model in (whole, streamed)]
    for measured in ([instructions(r) for r in results], [code(r) for r in results]):
        cells += [*(f"{number:,}" for number in measured), f"x{measured[1] / measured[0]:.3f}"]
    return cells


def instructions(result: RunResult) -> int:
    """Instructions of the one inference."""
    if result.instructions is None:
        raise SystemExit("only an emulated board counts instructions: --device qemu:BOARD")
    return result.instructions[0]


def code(result: RunResult) -> int:
    """Bytes of generated code."""
    return result.model_sections["text"]


if __name__ == "__main__":
    main()
