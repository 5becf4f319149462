"""How deep the stack of model files goes in QEMU, beside how deep it could go.

    python -m tests.campaigns.stack_bounds model.tflite other.onnx
    python -m tests.campaigns.stack_bounds --record models/*.tflite  also a row of docs/trust.md

Each model is compiled as written and streamed, for boards with and without a floating-point unit,
DSP instructions and MVE.  A board that is too small for a model is said.  Exits with 1 if a stack
went deeper than its bound.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import dero_tvm
from dero_tvm.boundary.errors import UserError, first_line
from dero_tvm.boundary.input_arrays import random_inputs
from dero_tvm.runners import run_qemu
from tests.trust import record

BOARDS = ("mps2-an385", "mps2-an386", "mps2-an500", "mps3-an547")


def stacks(model: Path) -> Iterator[tuple[str, int, int]]:
    """Of each run its name, bytes measured, and the bound; those that do not fit are printed."""
    for board in BOARDS:
        for mode in ("none", "stream"):
            label = f"{model.name} {board} --dero {mode}"
            try:
                archive = dero_tvm.compile(model, target=board, dero=mode).archive
                inputs = random_inputs(archive.inputs, np.random.default_rng(0))
                result = run_qemu(archive, [inputs], machine=board, time_limit=1200)
            except UserError as error:
                print(f"{label}: not run: {first_line(error)}", flush=True)
                continue
            if result.stack_bytes is None or result.stack_bound is None:
                raise SystemExit(f"{label}: there is no bound")
            yield label, result.stack_bytes, result.stack_bound.bytes


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--record", action="store_true", help="for docs/trust.md")
    options = parser.parse_args()
    slack, exceeded = [], 0
    for model in options.models:
        for label, measured, bound in stacks(model):
            print(f"{label}: {measured:,} of at most {bound:,} bytes", flush=True)
            slack.append(bound - measured)
            exceeded += measured > bound
    print(f"{len(slack)} runs, {exceeded} beyond the bound, {slack.count(0)} exactly at it")
    if options.record and not exceeded and slack:
        record(
            "stack_bounds",
            claim="No inference takes more stack than the bound that gcc's frames and the calls in"
            " the linked program give; there is no recursion and no frame of a computed size.",
            command="python -m tests.campaigns.stack_bounds MODEL...",
            counts={
                "models": len(options.models),
                "runs in QEMU": len(slack),
                "exactly at the bound": slack.count(0),
                "most bytes below it": max(slack),
            },
        )
    return 1 if exceeded else 0


if __name__ == "__main__":
    sys.exit(main())
