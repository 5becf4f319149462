"""Runs networks unstreamed and streamed, each in exactly its arena, and compares all outputs.

    python benchmarks/guarded_arenas.py [--models FOLDER] [--only resnet50 ...]

Each network is compiled with every tensor whole, streamed, and streamed with the image handed over
by rows.  The generated C is compiled for this machine and runs on random inputs in arenas of the
planned size with guard bytes before and behind them; a changed guard or a bit that differs ends
the program.  "bound" is what no plan of the streamed network's cascades and order can go below.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import onnx
from published import command_line, print_table

import dero_tvm
from dero_tvm.boundary.input_arrays import random_inputs
from dero_tvm.runners import run_host_c
from dero_tvm.runners.result import equal_outputs

COLUMNS = ("network", "whole", "streamed", "bound", "by rows", "bound", "inputs", "outputs")
_TIME_LIMIT = 600.0  # seconds a run


def main() -> None:
    """Print the table, a row as soon as its network has run."""
    parser = command_line(__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=2, help="random inputs that each runs on")
    arguments = parser.parse_args()
    print_table(COLUMNS, partial(row, count=arguments.inputs), arguments)


def row(model: Path | onnx.ModelProto, count: int) -> list[str]:
    """The cells of one network; SystemExit if a run leaves its arena or changes a bit."""
    whole = compiled(model, dero="none")
    streamed = compiled(model, dero="stream")
    by_rows = compiled(model, dero="stream", stream_input=True)
    rng = np.random.default_rng(0)
    inputs = [random_inputs(whole.archive.inputs, rng) for _ in range(count)]
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


def guarded(model: dero_tvm.CompiledModel, inputs: list[dict[str, np.ndarray]]):
    """The result of a run; SystemExit if a guard byte was changed."""
    result = run_host_c(model.archive, inputs, time_limit=_TIME_LIMIT)
    if not result.guard_ok:
        raise SystemExit(f"{model.report.model}: {result.guard_report}")
    return result


if __name__ == "__main__":
    main()
