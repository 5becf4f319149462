"""How far plans are above what any order of rows needs, as a Markdown table.

    python benchmarks/row_bounds.py [--models FOLDER] [--only resnet50 ...]

Each network is streamed, once with the image in the arena and once handed over by rows.  "bound" is
what no order of the streamed network's rows can go below, whatever cascades they are made in;
"above" is how many bytes the plan has more.  "in sequence" is what no order can go below that makes
the rows of each tensor in the plan's sequence; with a star if the plan needs no more.  The last
column is the seconds that all bounds took.
"""

from __future__ import annotations

import time
from pathlib import Path

import onnx
from published import command_line, print_table

from dero_tvm.aot.kernels import takes_table
from dero_tvm.driver.candidates import Candidate
from dero_tvm.driver.choose_plan import smallest
from dero_tvm.driver.dero_levels import Dero
from dero_tvm.driver.prepare import prepare
from dero_tvm.planning.rows.bound import RowBound, bound_of
from dero_tvm.planning.rows.branching import raised
from dero_tvm.planning.rows.problem import RowProblem
from dero_tvm.schedule.to_rows import to_rows

COLUMNS = (
    "network", "streamed", "bound", "above", "in sequence",
    "by rows", "bound", "above", "in sequence", "seconds",
)  # fmt: skip


def main() -> None:
    """Print the table, a row as soon as its network is done."""
    print_table(COLUMNS, row, command_line(__doc__.splitlines()[0]).parse_args())


def row(model: Path | onnx.ModelProto) -> list[str]:
    """The cells of one network."""
    cells = []
    seconds = 0.0
    for by_rows in (False, True):
        prepared = prepare(model, input_layout="nhwc", integer_io=True, stream_input=by_rows)
        plan = smallest(prepared.candidates(), Dero.STREAM)
        start = time.monotonic()
        problem = rows_of(plan)
        bound, in_sequence = (bound_of(problem, sequences=s) for s in (False, True))
        if in_sequence.bytes == plan.arena_bytes:
            bound = raised(problem, bound, plan.arena_bytes)
        seconds += time.monotonic() - start
        cells += [f"{plan.arena_bytes:,}", *against(plan.arena_bytes, bound, in_sequence)]
    return [*cells, f"{seconds:.1f}"]


def against(arena_bytes: int, bound: RowBound, in_sequence: RowBound) -> list[str]:
    """The cells of one plan's bounds."""
    if bound.bytes is None or in_sequence.bytes is None:
        return [bound.reason, "", ""]
    above = arena_bytes - bound.bytes
    star = " *" if arena_bytes == in_sequence.bytes else ""
    share = 100 * above / bound.bytes
    return [f"{bound.bytes:,}", f"{above:,} ({share:.1f} %)", f"{in_sequence.bytes:,}{star}"]


def rows_of(candidate: Candidate) -> RowProblem:
    """The rows of a plan, whether it places them one by one or in rings."""
    plan = candidate.plan
    if plan.rows is not None:
        return plan.rows.problem
    return to_rows(candidate.scheduled, plan.order, takes_table=takes_table)


if __name__ == "__main__":
    main()
