"""What residual connections cost in memory once rows stream, as a Markdown table.

    python benchmarks/residual_cost.py [--models FOLDER] [--only resnet50 ...]

For each network: arena bytes with every tensor whole, in written order, and streamed; beside them
those of its plain baseline, the network without its residual connections (`RemoveResiduals`).  "by
rows" hands the image over row by row, so that it does not lie in the arena.  All sizes count
everything that an inference needs besides the stack; no plan of the chosen cascades and order is
smaller, unless a star says that the search for addresses left a gap.  The last column is the
seconds that planning the streamed network took.

The published networks are built here, with random weights, and quantized to int8; the MLPerf Tiny
and MCUNet files are used if `FOLDER` has them.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import onnx
import tvm
from published import command_line, print_table

from dero_tvm.driver.candidates import Candidate
from dero_tvm.driver.choose_plan import smallest
from dero_tvm.driver.dero_levels import Dero
from dero_tvm.driver.prepare import PreparedModel, prepare
from relax_passes import pipeline
from relax_passes.reorganization.remove_residuals import RemoveResiduals

COLUMNS = (
    "network", "whole", "plain whole", "streamed", "plain streamed",
    "by rows", "plain by rows", "seconds",
)  # fmt: skip


def main() -> None:
    """Print the table, a row as soon as its network is done."""
    print_table(COLUMNS, row, command_line(__doc__.splitlines()[0]).parse_args())


def row(model: Path | onnx.ModelProto) -> list[str]:
    """The cells of one network."""
    whole_image = prepare(model, input_layout="nhwc", integer_io=True)
    by_rows = prepare(model, input_layout="nhwc", integer_io=True, stream_input=True)
    cells = [text(written(whole_image)), text(written(plain(whole_image)))]
    start = time.monotonic()
    streamed = smallest(whole_image.candidates(), Dero.STREAM)
    seconds = time.monotonic() - start
    others = (plain(whole_image), by_rows, plain(by_rows))
    plans = [streamed, *(smallest(other.candidates(), Dero.STREAM) for other in others)]
    return [*cells, *map(text, plans), f"{seconds:.1f}"]


def plain(prepared: PreparedModel) -> PreparedModel:
    """The same without residual connections."""
    remove = tvm.transform.Sequential([pipeline.analyze(), RemoveResiduals()])
    marked = None if prepared.marked is None else remove(prepared.marked)
    return replace(prepared, canonical=remove(prepared.canonical), marked=marked)


def written(prepared: PreparedModel) -> Candidate:
    """Every tensor whole, the operators in the order of the file."""
    planner = prepared.planner
    unordered = replace(planner, options=replace(planner.options, reorder=False))
    return smallest(replace(prepared, planner=unordered).candidates(), Dero.NONE)


def text(candidate: Candidate) -> str:
    """Arena bytes; with a star if a smaller plan may exist."""
    proven = candidate.arena_bytes == candidate.plan.lower_bound
    return f"{candidate.arena_bytes:,}" + ("" if proven else "*")


if __name__ == "__main__":
    main()
